# shellcheck shell=sh
# root.sh, sourced: a Debian root file system in $root, in three steps, with a line of progress for each
# that takes long. Wants root, in a mount namespace of its own (so that no mount outlives it), with
# qemu-user registered in binfmt_misc.
#
# From the environment: SUITE; MIRROR (may be empty: mmdebstrap's own); PACKAGES, comma-separated;
# SCRATCH, where the root file system is put together, SCRATCH_IN_MEMORY; and $architecture, $root, $log.

: "${architecture:?}" "${root:?}" "${log:?}"

download_root() {
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
}

configure_root() {
  echo "packages: configure, under emulation"
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
}

guest() {
  chroot "$root" "$@" >>"$log" 2>&1
}

tidy_root() {
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root/usr/sbin/policy-rc.d" \
    "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/* \
    "$root"/usr/share/info/* "$root"/etc/update-motd.d/* "$root/etc/motd" "$root"/var/log/*.log
  umount "$root/proc"
}
