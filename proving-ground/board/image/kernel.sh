# shellcheck shell=sh
# kernel.sh, sourced by make.sh: Debian's kernel for an emulated board, in two steps.
#
# From the environment and make.sh: KERNEL, INITRD_MODULES, SCRATCH, $architecture, $root, $out, $here, $log.

: "${architecture:?}" "${root:?}" "${out:?}" "${here:?}" "${log:?}"

# Its modules and its configuration are in $root then, the kernel itself in $out.
unpack_kernel() {
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
}

make_initramfs() {
  echo "initramfs"
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
}
