#!/usr/bin/env bash
# Decides what is built, and under which names.
#
# BUILDKIT_REF  branch, tag or commit of moby/buildkit
# UPSTREAM_API  GitHub's API, where that is
# DATE          YYYYMMDD; empty: today
#
# A tag vX.Y.Z is an official release: release buildkit-vX.Y.Z-riscv64, image tag vX.Y.Z-riscv64; it is
# built once. So is vX.Y.Z-rcN, which is a pre-release. Everything else is a development build: release
# buildkit-v<date>-dev, image tag <ref>-<date>; another one of the same day takes its place.
#
# Outputs: build (false when there is nothing to do), sha, official, prerelease, release, title, image-tag.
set -euo pipefail

# shellcheck source=github-api.sh
. "$(dirname "$0")/github-api.sh"

[[ $BUILDKIT_REF =~ ^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$ && $BUILDKIT_REF != *..* ]] ||
  fail "input buildkit_ref is '$BUILDKIT_REF'; it is a branch, a tag or a commit of moby/buildkit"
date=${DATE:-$(date -u +%Y%m%d)}
if [[ $BUILDKIT_REF =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[a-zA-Z0-9]+)?$ ]]; then
  official=true
  [[ $BUILDKIT_REF == *-* ]] && prerelease=true || prerelease=false
  release=buildkit-$BUILDKIT_REF-riscv64
  title="BuildKit $BUILDKIT_REF for RISC-V64"
  image_tag=$BUILDKIT_REF-riscv64
else
  official=false
  prerelease=true
  release=buildkit-v$date-dev
  title="BuildKit RISC-V64 development build $date"
  image_tag=${BUILDKIT_REF//\//-}
  image_tag=${image_tag:0:100}-$date
fi

accept='200 404 422' api GET "$UPSTREAM_API/repos/moby/buildkit/commits/$BUILDKIT_REF"
[ "$status" = 200 ] || fail "moby/buildkit has no branch, tag or commit '$BUILDKIT_REF'"
sha=$(jq -r .sha <<<"$answer")

build=true
if [ "$official" = true ]; then
  accept='200 404' api GET "/repos/$GITHUB_REPOSITORY/releases/tags/$release"
  if [ "$status" = 200 ]; then
    build=false
    echo "::notice::$release is there already, and an official release is built once"
  fi
fi

{
  echo "build=$build"
  echo "sha=$sha"
  echo "official=$official"
  echo "prerelease=$prerelease"
  echo "release=$release"
  echo "title=$title"
  echo "image-tag=$image_tag"
} | tee -a "$GITHUB_OUTPUT"
