#!/usr/bin/env bash
# Starts a buildkitd as a container and waits until it answers.
#
# BUILDKITD       name of the container
# BUILDKIT_IMAGE  what it runs
# STATE           folder of its state; one daemon at a time can use it
# CONFIG          path of a buildkitd.toml on this machine; empty: none
set -euo pipefail

# shellcheck source=fail.sh
. "$(dirname "$0")/fail.sh"

config=()
if [ -n "$CONFIG" ]; then
  [ -f "$CONFIG" ] || fail "there is no $CONFIG on this runner"
  config=(--volume "$CONFIG:/etc/buildkit/buildkitd.toml:ro")
fi
docker run --detach --name "$BUILDKITD" --privileged --volume "$STATE:/var/lib/buildkit" "${config[@]}" "$BUILDKIT_IMAGE" >/dev/null
for ((second = 0; ; second++)); do
  ! docker exec "$BUILDKITD" buildctl debug workers || break
  if [ "$second" -ge 60 ] || [ "$(docker inspect --format '{{.State.Running}}' "$BUILDKITD")" != true ]; then
    docker logs --tail 20 "$BUILDKITD"
    fail "buildkitd does not answer, see its log above. Does another job on this runner use $STATE?"
  fi
  sleep 1
done
