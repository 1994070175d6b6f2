#!/bin/sh
# make-debian.sh DEBIAN_ARCHITECTURE OUT: writes into OUT a Debian root file system as `layer.tar`, for an image.
#
# From the environment: what board/image/root.sh wants.
set -eu

architecture=$1
out=$2
root=$SCRATCH/root
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
log=$out/make.log
trap '[ $? -eq 0 ] || tail -n 30 "$log" >&2' EXIT

# shellcheck source=../board/image/root.sh
. "$here/../board/image/root.sh"

download_root
configure_root
# A name that only the proxy of debian/archiveProxy.ts knows, where Debian's own image has a mirror's.
cat >"$root/etc/apt/sources.list.d/debian.sources" <<SOURCES
Types: deb
URIs: http://debian.invalid/debian
Suites: $SUITE
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
# As Debian's own image has it: no caches, no translations, and no dpkg that waits for the disk.
cat >"$root/etc/apt/apt.conf.d/docker" <<'CONF'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
CONF
echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/docker"
# By mmdebstrap, for itself; Docker mounts the names over.
rm -f "$root/etc/apt/sources.list" "$root/etc/apt/apt.conf.d/99mmdebstrap" \
  "$root/etc/resolv.conf" "$root/etc/hostname"
tidy_root
# A builder unpacks thousands of small files for minutes under emulation; nothing here reads these.
rm -rf "$root"/usr/share/perl/5.* "$root"/usr/lib/*/perl/5.* "$root"/usr/lib/*/gconv \
  "$root"/usr/share/zoneinfo "$root"/usr/share/bash-completion "$root"/usr/share/lintian \
  "$root"/usr/lib/*/perl-base/unicore "$root"/var/lib/dpkg/info/*.md5sums
# Each is a copy of most of git.
for program in daemon http-backend http-fetch http-push imap-send shell; do
  rm -f "$root/usr/bin/git-$program" "$root/usr/lib/git-core/git-$program"
done
rm -f "$root/usr/bin/scalar" "$root/usr/lib/git-core/scalar"
mkdir -p "$root/var/lib/apt/lists/partial" "$root/var/cache/apt/archives/partial"

echo "layer"
tar --sort=name --mtime=@0 --numeric-owner --format=posix \
  --pax-option=delete=atime,delete=ctime --directory="$root" -cf "$out/layer.tar" .
rm "$log"
