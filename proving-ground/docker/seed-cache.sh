#!/bin/sh
# seed-cache.sh VOLUME BUILDKIT REGISTRY BASE: leaves in the volume VOLUME the cache of a builder, of the image BUILDKIT,
# that has unpacked the image BASE, which is in the plain REGISTRY. Under emulation that takes more than a minute.
set -eu
volume=$1
buildkit=$2
registry=$3
base=$4
folder=$(mktemp -d)
printf '[registry."%s"]\n  http = true\n' "$registry" >"$folder/buildkitd.toml"
# Nothing is unpacked before a step needs it.
printf 'FROM %s\nRUN ["/bin/true"]\n' "$base" >"$folder/Dockerfile"

docker run --detach --privileged --name seed \
  --volume "$volume:/var/lib/buildkit" --volume "$folder:/etc/buildkit" "$buildkit"
tries=0
until docker exec seed buildctl debug workers; do
  tries=$((tries + 1))
  [ "$tries" -lt 60 ] || exit 1
  sleep 1
done
docker exec seed buildctl build --progress plain --frontend dockerfile.v0 \
  --local context=/etc/buildkit --local dockerfile=/etc/buildkit
docker stop seed
docker rm seed
rm -r "$folder"
