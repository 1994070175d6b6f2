#!/bin/sh
# make.sh DEBIAN_ARCHITECTURE OUT: writes into OUT a Debian root file system as `disk.ext4`, its
# `kernel`, an `initrd` and a static `busybox`. Wants root, in a mount namespace of its own (so that
# no mount outlives it), with qemu-user registered in binfmt_misc.
#
# From the environment: SUITE; MIRROR (may be empty: mmdebstrap's own); PACKAGES, comma-separated;
# KERNEL, a package that depends on the newest kernel, with INITRD_MODULES that the root file system needs, or nothing for
# a board whose kernel comes from elsewhere (then there is neither kernel nor initrd);
# GUEST and GUEST_KIND, files for the board, whose units are enabled; OUT must hold id_ed25519.pub and host_key{,.pub}; SCRATCH, where
# the root file system is put together; DISK_GB.
#
# Standard output is progress, a line for each stage.
set -eu

architecture=$1
out=$2
root=$SCRATCH/root
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
log=$out/make.log
trap '[ $? -eq 0 ] || tail -n 30 "$log" >&2' EXIT

# shellcheck source=root.sh
. "$here/root.sh"
# shellcheck source=kernel.sh
. "$here/kernel.sh"

download_root

[ -z "${KERNEL:-}" ] || unpack_kernel

cp -R "$GUEST/." "$GUEST_KIND/." "$root/"
chmod 0440 "$root/etc/sudoers.d/board"
# Before openssh-server is configured: it then makes no keys of its own.
install -m 0600 "$out/host_key" "$root/etc/ssh/ssh_host_ed25519_key"
install -m 0644 "$out/host_key.pub" "$root/etc/ssh/ssh_host_ed25519_key.pub"
configure_root

echo "users and settings"
# An asterisk is no password; an account without one counts as locked.
for user in builder nosudo; do
  guest useradd --create-home --shell /bin/bash --password '*' "$user"
done
for home in root home/builder home/nosudo; do
  mkdir -p "$root/$home/.ssh"
  chmod 0700 "$root/$home/.ssh"
  install -m 0600 "$out/id_ed25519.pub" "$root/$home/.ssh/authorized_keys"
  chown -R --reference="$root/$home" "$root/$home/.ssh"
done
for unit in "$GUEST_KIND"/etc/systemd/system/*.service; do
  [ ! -e "$unit" ] || guest systemctl enable "$(basename "$unit")"
done
guest systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
  e2scrub_all.timer e2scrub_reap.service fstrim.timer man-db.timer systemd-tmpfiles-clean.timer \
  systemd-firstboot.service ldconfig.service systemd-update-done.service \
  systemd-journal-catalog-update.service systemd-hibernate-clear.service systemd-pstore.service \
  getty.target sshd-keygen.service systemd-binfmt.service
echo board >"$root/etc/hostname"
printf '127.0.0.1\tlocalhost\n127.0.1.1\tboard\n' >"$root/etc/hosts"
# The name server of QEMU's user network, and of slirp's.
echo 'nameserver 10.0.2.3' >"$root/etc/resolv.conf"
# With an id the first boot is one like any other.
od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$root/etc/machine-id"
echo >>"$root/etc/machine-id"
tidy_root

cp "$root/usr/bin/busybox" "$out/busybox"
[ -z "${KERNEL:-}" ] || make_initramfs

echo "disk image"
truncate -s "${DISK_GB}G" "$out/disk.ext4"
mke2fs -q -F -t ext4 -L board -m 0 -d "$root" "$out/disk.ext4" >>"$log" 2>&1
chmod 0444 "$out/disk.ext4"
rm "$log"
