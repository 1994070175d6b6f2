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
docker buildx ls | grep "^ *\\\\_ $builder.* running" || fail "the builder does not run"

cat >"$work/Dockerfile" <<'END'
FROM alpine:latest
RUN echo "Hello from $(uname -m)" >/hello
CMD ["cat", "/hello"]
END
docker buildx build --builder "$builder" --platform "$PLATFORMS" \
  --output "type=oci,dest=$work/image.tar" --metadata-file "$work/metadata.json" "$work" ||
  fail "the builder does not build for $PLATFORMS"

# What was built is there for every platform, and no other.
mkdir "$work/image"
tar -xf "$work/image.tar" -C "$work/image"
blob() { cat "$work/image/blobs/sha256/${1#sha256:}"; }
found=$(
  index=$(jq -r '.manifests[0].digest' "$work/image/index.json")
  blob "$index" | jq -r 'if .manifests then .manifests[] | select(.platform.os != "unknown") | "\(.platform.os)/\(.platform.architecture)"
    else empty end' | sort
)
# One platform without attestations is no index.
if [ -z "$found" ]; then
  manifest=$(jq -r '.manifests[0].digest' "$work/image/index.json")
  found=$(blob "$(blob "$manifest" | jq -r .config.digest)" | jq -r '"\(.os)/\(.architecture)"')
fi
[ "$found" = "$(tr , '\n' <<<"$PLATFORMS" | sort)" ] || fail "asked for $PLATFORMS, but the image is for $(tr '\n' ' ' <<<"$found")"
echo "built for $PLATFORMS"
