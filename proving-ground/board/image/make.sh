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

# dpkg makes every file safe against a power cut; on a disk that took half of the time.
if [ "${SCRATCH_IN_MEMORY:-}" = yes ]; then
  mount -t tmpfs -o size=3g,mode=0755 tmpfs "$SCRATCH"
fi

echo "packages: download and unpack"
# The variant `extract` runs nothing of the foreign architecture.
# shellcheck disable=SC2086 # an empty MIRROR is no argument
mmdebstrap --mode=root --variant=extract --architectures="$architecture" --components=main \
  --skip=cleanup/apt,check/qemu --aptopt='APT::Install-Recommends "false"' \
  --include='?essential' --include='?priority(required)' --include="$PACKAGES" \
  "$SUITE" "$root" ${MIRROR} >>"$log" 2>&1

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

echo "packages: configure, under emulation"
cp -R "$GUEST/." "$root/"
chmod 0440 "$root/etc/sudoers.d/board"
# Before openssh-server is configured: it then makes no keys of its own.
install -m 0600 "$out/host_key" "$root/etc/ssh/ssh_host_ed25519_key"
install -m 0644 "$out/host_key.pub" "$root/etc/ssh/ssh_host_ed25519_key.pub"
# Nothing is to be started in here.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
mount -t proc proc "$root/proc"
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C.UTF-8
# This machine's dpkg, native; only the packages' own scripts are emulated. The essential
# packages depend on each other in circles, which only --force-depends opens.
native_dpkg() {
  dpkg --root="$root" --force-depends --force-unsafe-io --force-confold "$@" >>"$log" 2>&1
}
native_dpkg --unpack "$root"/var/cache/apt/archives/*.deb
native_dpkg --configure -a

echo "users and settings"
guest() {
  chroot "$root" "$@" >>"$log" 2>&1
}
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
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root/usr/sbin/policy-rc.d" \
  "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/* \
  "$root"/usr/share/info/* "$root"/etc/update-motd.d/* "$root/etc/motd" "$root"/var/log/*.log
umount "$root/proc"

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
