#!/usr/bin/env bash
# Makes a Debian and an RPM package of the binaries in dist/, and checks what is in them.
#
# NFPM  module and version of the program that packs
# NFPM_CONFIG  its configuration
# ARCH  the packages' architecture
set -euo pipefail

# shellcheck source=fail.sh
. "$(dirname "$0")/fail.sh"

version=$(jq -r .version dist/BUILD.json)
# v0.34.2 is 0.34.2; v0.35.0-rc1 comes before 0.35.0, and so has ~; what `git describe` says of a commit,
# v0.34.2-15-gabcdef0, comes after 0.34.2, and so has +; a bare commit is older than everything.
if [[ $version =~ ^v([0-9]+\.[0-9]+\.[0-9]+)$ ]]; then
  version=${BASH_REMATCH[1]}
elif [[ $version =~ ^v([0-9]+\.[0-9]+\.[0-9]+)-([0-9]+)-(g[0-9a-f]+)$ ]]; then
  version=${BASH_REMATCH[1]}+${BASH_REMATCH[2]}.${BASH_REMATCH[3]}
elif [[ $version =~ ^v([0-9]+\.[0-9]+\.[0-9]+)-([a-zA-Z0-9]+)-([0-9]+)-(g[0-9a-f]+)$ ]]; then
  version=${BASH_REMATCH[1]}~${BASH_REMATCH[2]}+${BASH_REMATCH[3]}.${BASH_REMATCH[4]}
elif [[ $version =~ ^v([0-9]+\.[0-9]+\.[0-9]+)-([a-zA-Z0-9]+)$ ]]; then
  version=${BASH_REMATCH[1]}~${BASH_REMATCH[2]}
else
  version=0.0.0~git.$(jq -r '.commit[:12]' dist/BUILD.json)
fi
echo "package version $version"

chmod +x dist/buildkitd dist/buildctl
rm -rf packages
mkdir packages
GOBIN=${RUNNER_TEMP:?}/bin go install "$NFPM"
export VERSION=$version ARCH
for format in deb rpm; do
  "$RUNNER_TEMP/bin/nfpm" package --config "$NFPM_CONFIG" --packager "$format" --target packages/
done
ls -l packages

if command -v dpkg-deb >/dev/null; then
  deb=$(echo packages/*.deb)
  [ "$(dpkg-deb --field "$deb" Version)" = "$version-1" ] || fail "the Debian package has another version"
  contents=$(dpkg-deb --contents "$deb")
  grep -q ' ./usr/bin/buildkitd$' <<<"$contents" || fail "the Debian package lacks buildkitd"
fi
