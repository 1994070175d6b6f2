#!/bin/sh
# The shell notes that buildhosts takes the place of, as one follows them on a board: three downloads,
# unpacked into place, and two units. No TLS, no checksums, no checks. $1 is the mirror, $2 the architecture.
set -eu
cd "$(mktemp -d)"
curl -sSfLO "$1/containerd/containerd/releases/download/v2.4.2/containerd-2.4.2-linux-$2.tar.gz"
tar Cxzf /usr/local "containerd-2.4.2-linux-$2.tar.gz"
mkdir -p /usr/local/lib/systemd/system
cat >/usr/local/lib/systemd/system/containerd.service <<'EOF'
[Unit]
Description=containerd container runtime
After=network.target local-fs.target

[Service]
Type=notify
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/local/bin/containerd
KillMode=process
Delegate=yes
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target
EOF
systemctl daemon-reload
systemctl enable --now containerd
curl -sSfLO "$1/opencontainers/runc/releases/download/v1.5.2/runc.$2"
install -m 755 "runc.$2" /usr/local/sbin/runc
curl -sSfLO "$1/moby/buildkit/releases/download/v0.34.2/buildkit-v0.34.2.linux-$2.tar.gz"
tar Cxzf /usr/local "buildkit-v0.34.2.linux-$2.tar.gz"
mkdir -p /etc/buildkit
cat >/usr/local/lib/systemd/system/buildkitd.service <<'EOF'
[Unit]
Description=BuildKit

[Service]
Type=notify
ExecStart=/usr/local/bin/buildkitd --addr tcp://0.0.0.0:1234

[Install]
WantedBy=multi-user.target
EOF
systemctl daemon-reload
systemctl enable --now buildkitd
