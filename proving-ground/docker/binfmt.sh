#!/bin/sh
# binfmt.sh --install amd64|riscv64: from now on the kernel starts programs for that architecture by the emulator in here, in every
# container. The lines for the kernel are those of QEMU's scripts/qemu-binfmt-conf.sh; F keeps the emulator open, because
# other containers have no such file.
set -eu
case $* in
  "--install amd64")
    name=qemu-x86_64
    magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00'
    mask='\xff\xff\xff\xff\xff\xfe\xfe\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    ;;
  "--install riscv64")
    name=qemu-riscv64
    magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00'
    mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    ;;
  *)
    echo "binfmt.sh: received '$*'; only '--install amd64' and '--install riscv64' are known" >&2
    exit 2
    ;;
esac
if [ ! -x "/usr/bin/$name" ]; then
  echo "binfmt.sh: received '$*', but this image has no $name" >&2
  exit 2
fi
folder=/proc/sys/fs/binfmt_misc
[ -e "$folder/register" ] || mount -t binfmt_misc binfmt_misc "$folder"
[ -e "$folder/$name" ] || printf '%s' ":$name:M::$magic:$mask:/usr/bin/$name:F" >"$folder/register"
echo "installed: linux/${2}"
