#!/bin/sh
# make.sh DEBIAN_ARCHITECTURE OUT: writes into OUT a Debian root file system as `disk.ext4`, its
# `kernel`, an `initrd` and a static `busybox`. Wants root, in a mount namespace of its own (so that
# no mount outlives it), with qemu-user registered in binfmt_misc.
#
# From the environment: SUITE; MIRROR (may be empty: mmdebstrap's own); PACKAGES, comma-separated;
# KERNEL, a package that depends on the newest kernel; INITRD_MODULES that the root file system needs;
# GUEST, files for the board; OUT must hold id_ed25519.pub and host_key{,.pub}; SCRATCH, where
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

download_root

# The kernel's own scripts would make an initramfs under emulation, for many minutes.
echo "kernel: download and unpack"
guest_apt() {
  command=$1
  shift
  "$command" -o Dir="$root" -o Dir::State::status="$root/var/lib/dpkg/status" \
    -o Dir::Etc::TrustedParts=/etc/apt/trusted.gpg.d \
    -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" \
    -o APT::Sandbox::User=root "$@"
}
kernel_package=$(guest_apt apt-cache depends "$KERNEL" | sed -n 's/.*Depends: \(linux-image-[^ ]*\)/\1/p')
mkdir "$SCRATCH/kernel"
(cd "$SCRATCH/kernel" && guest_apt apt-get download "$kernel_package") >>"$log" 2>&1
dpkg-deb --extract "$SCRATCH"/kernel/*.deb "$SCRATCH/kernel"
version=${kernel_package#linux-image-}
modules=$(find "$SCRATCH/kernel" -type d -path "*/lib/modules/$version")
mkdir -p "$root/usr/lib/modules"
mv "$modules" "$root/usr/lib/modules/$version"
cp "$SCRATCH/kernel/boot/config-$version" "$root/boot/"
mv "$SCRATCH/kernel/boot/vmlinu"?"-$version" "$out/kernel"
# Hardware that QEMU's boards do not have: half of the image.
drivers=$root/usr/lib/modules/$version/kernel/drivers
for kind in ata gpu hid hwmon iio infiniband media scsi usb; do
  rm -rf "${drivers:?}/$kind"
done
rm -rf "$root/usr/lib/modules/$version/kernel/sound"
find "$drivers/net" -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +
depmod --basedir "$root" "$version"

cp -R "$GUEST/." "$root/"
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
guest systemctl enable board-network.service board-clock.service
guest systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
  e2scrub_all.timer e2scrub_reap.service fstrim.timer man-db.timer systemd-tmpfiles-clean.timer \
  systemd-firstboot.service ldconfig.service systemd-update-done.service \
  systemd-journal-catalog-update.service systemd-hibernate-clear.service systemd-pstore.service \
  getty.target sshd-keygen.service systemd-binfmt.service
echo board >"$root/etc/hostname"
printf '127.0.0.1\tlocalhost\n127.0.1.1\tboard\n' >"$root/etc/hosts"
# QEMU's name server.
echo 'nameserver 10.0.2.3' >"$root/etc/resolv.conf"
# With an id the first boot is one like any other.
od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$root/etc/machine-id"
echo >>"$root/etc/machine-id"
tidy_root

echo "initramfs"
cp "$root/usr/bin/busybox" "$out/busybox"
initramfs=$SCRATCH/initramfs
mkdir -p "$initramfs/bin" "$initramfs/modules" "$initramfs/dev" "$initramfs/proc" \
  "$initramfs/sys" "$initramfs/root"
cp "$here/initramfs-init" "$initramfs/init"
cp "$out/busybox" "$initramfs/bin/"
for applet in sh mount umount insmod usleep echo switch_root; do
  ln -s busybox "$initramfs/bin/$applet"
done
for module in $INITRD_MODULES; do
  modprobe --dirname "$root" --set-version "$version" --show-depends "$module"
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r file; do
  name=$(basename "$file" .xz)
  case $file in
    *.xz) xz --decompress --stdout "$file" >"$initramfs/modules/$name" ;;
    *) cp "$file" "$initramfs/modules/$name" ;;
  esac
  echo "$name" >>"$initramfs/modules/order"
done
(cd "$initramfs" && find . | "$out/busybox" cpio -o -H newc) >"$out/initrd" 2>>"$log"

echo "disk image"
truncate -s "${DISK_GB}G" "$out/disk.ext4"
mke2fs -q -F -t ext4 -L board -m 0 -d "$root" "$out/disk.ext4" >>"$log" 2>&1
chmod 0444 "$out/disk.ext4"
rm "$log"
