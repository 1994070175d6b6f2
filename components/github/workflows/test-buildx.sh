#!/usr/bin/env bash
# Phases 3 and 4: buildx starts a builder from the image, and the builder builds an image.
#
# IMAGE      name@digest
# PLATFORMS  what it builds for, with commas between
set -euo pipefail

# shellcheck source=fail.sh
. "$(dirname "$0")/fail.sh"

builder=buildkit-test-$$
work=$(mktemp -d)
trap 'docker buildx rm --force "$builder" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

docker buildx create --name "$builder" --driver docker-container --driver-opt "image=$IMAGE"
docker buildx inspect --bootstrap "$builder" || fail "the builder does not start from $IMAGE"
# buildx takes a daemon that is slow to answer for one that does not.
for attempt in 1 2 3; do
  ! docker buildx inspect "$builder" | grep '^Status: *running' || break
  [ "$attempt" -lt 3 ] || fail "the builder does not run"
done

cat >"$work/Dockerfile" <<'END'
FROM alpine:latest
RUN echo "Hello from $(uname -m)" >/hello
CMD ["cat", "/hello"]
END
docker buildx build --builder "$builder" --platform "$PLATFORMS" --provenance=false \
  --output "type=local,dest=$work/image" "$work" ||
  fail "the builder does not build for $PLATFORMS"

# What was built is there for every platform, and its step ran on that: of an image that has one platform only,
# BuildKit takes this one for every other.
for platform in ${PLATFORMS//,/ }; do
  folder=$work/image
  [[ $PLATFORMS != *,* ]] || folder+=/${platform//\//_}
  case $platform in
  linux/amd64) machine=x86_64 ;;
  linux/arm64) machine=aarch64 ;;
  *) machine=${platform#linux/} ;;
  esac
  said=$(cat "$folder/hello") || fail "nothing was built for $platform"
  echo "$platform: $said"
  [ "$said" = "Hello from $machine" ] || fail "the step for $platform ran on something else: $said"
done
