#!/bin/sh
# binfmt.sh --install amd64: from now on the kernel starts programs for amd64 by the emulator in here, in every
# container. The line for the kernel is that of QEMU's scripts/qemu-binfmt-conf.sh; F keeps the emulator open, because
# other containers have no such file.
set -eu
if [ "$*" != "--install amd64" ]; then
  echo "binfmt.sh: received '$*'; only '--install amd64' is known" >&2
  exit 2
fi
folder=/proc/sys/fs/binfmt_misc
[ -e "$folder/register" ] || mount -t binfmt_misc binfmt_misc "$folder"
[ -e "$folder/qemu-x86_64" ] || printf '%s' ':qemu-x86_64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00:\xff\xff\xff\xff\xff\xfe\xfe\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-x86_64:F' >"$folder/register"
echo "installed: linux/amd64"
