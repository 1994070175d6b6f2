#!/bin/sh
# prepare-host.sh URL: makes this board a Docker host. URL is a tar of Debian's packages, unpacked, and
# of host/. To install them with dpkg took more than a minute here.
#
# Afterwards dockerd serves its socket and, with certificates of a CA of its own, TLS on port 2376.
set -eu
curl --fail --silent --show-error "$1" | tar --directory=/ -x
groupadd --system docker
usermod --append --groups docker builder

cd /etc/docker/tls
umask 077
certificate() {
  name=$1
  shift
  openssl req -x509 -config extensions.cnf -extensions "$name" -days 3650 -noenc -quiet \
    -subj "/O=virtual Docker host/CN=$name" \
    -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout "$name-key.pem" "$@"
}
certificate ca -out ca.pem
certificate server -CA ca.pem -CAkey ca-key.pem -out server-cert.pem
certificate client -CA ca.pem -CAkey ca-key.pem -out client-cert.pem
# Nobody is to be let in later.
rm ca-key.pem

systemctl enable --now docker.socket containerd.service docker.service
