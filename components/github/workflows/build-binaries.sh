#!/usr/bin/env bash
# Builds buildkitd and buildctl natively, into dist/ with what describes them.
#
# SHA           the commit of moby/buildkit
# BUILDKIT_REF  what it was called
# OFFICIAL      true: the ref is a release, and its version
# IMAGE, IMAGE_TAG, RELEASE  the names that they are published under
# SOURCE        a folder with BuildKit's source at that commit; empty: it is cloned
# GO_CACHE, GO_MODULES  folders for what Go keeps; empty: new ones, because other jobs write to the runner's own
set -euo pipefail

# shellcheck source=fail.sh
. "$(dirname "$0")/fail.sh"

command -v go >/dev/null || fail "there is no go on this runner: install Go 1.21 or newer, which fetches the version that BuildKit asks for"

rm -rf dist src
source=${SOURCE:-}
if [ -n "$source" ]; then
  version=$BUILDKIT_REF
else
  source=src
  # The history without its files, which is what the version is made from.
  git clone --quiet --filter=tree:0 --no-checkout https://github.com/moby/buildkit src
  git -C src -c advice.detachedHead=false checkout --quiet "$SHA"
  version=$(git -C src describe --tags --always --match 'v[0-9]*')
fi
[ "$OFFICIAL" != true ] || version=$BUILDKIT_REF

package=github.com/moby/buildkit
flags="-s -w -X $package/version.Version=$version -X $package/version.Revision=$SHA -X $package/version.Package=$package"
fresh=$(mktemp -d "${RUNNER_TEMP:?}/go-XXXXXX")
export GOCACHE=${GO_CACHE:-$fresh/cache} GOMODCACHE=${GO_MODULES:-$fresh/modules} GOENV=off
export CGO_ENABLED=0 GOFLAGS="-buildvcs=false -modcacherw ${GOFLAGS:-}" GOTOOLCHAIN=${GOTOOLCHAIN:-auto}
mkdir dist
dist=$PWD/dist
(
  cd "$source"
  # As upstream's Dockerfile builds them.
  go build -trimpath -ldflags "$flags" -o "$dist/buildctl" ./cmd/buildctl
  go build -trimpath -ldflags "$flags" -tags 'osusergo netgo static_build seccomp' -o "$dist/buildkitd" ./cmd/buildkitd
)

cd dist
{
  ./buildkitd --version
  ./buildctl --version
} >VERSION.txt
printf '%s\n' "$IMAGE_TAG" >IMAGE_TAG.txt
printf '%s\n' "$IMAGE:$IMAGE_TAG" >REGISTRY.txt
jq -n --arg release "$RELEASE" --arg ref "$BUILDKIT_REF" --arg commit "$SHA" --arg version "$version" \
  --arg image "$IMAGE:$IMAGE_TAG" --arg go "$(go version | cut -d' ' -f3)" --arg built "$(date -u +%FT%TZ)" \
  '{$release, $ref, $commit, $version, platform: "linux/riscv64", $image, $go, $built}' >BUILD.json
cat VERSION.txt BUILD.json
