#!/usr/bin/env bash
# Phase 2: the image has its init where Docker looks for it, and its daemon starts and answers.
#
# IMAGE  name@digest
set -euo pipefail

# shellcheck source=fail.sh
. "$(dirname "$0")/fail.sh"

name=buildkitd-test-$$
trap 'docker rm --force --volumes "$name" >/dev/null 2>&1 || true' EXIT

docker pull --quiet "$IMAGE"
# shellcheck disable=SC2016 # what has a $ there is for the shell in the container
docker run --rm --entrypoint sh "$IMAGE" -euc '
  tini=$(readlink -f /usr/bin/tini)
  init=$(readlink -f /sbin/docker-init)
  echo "/usr/bin/tini is ${tini:-missing}, /sbin/docker-init is ${init:-missing}"
  [ "$init" = "$tini" ]
  /usr/bin/tini --version
  /sbin/docker-init --version' || fail "/sbin/docker-init is not the image's tini, or does not start, see above"

docker run --detach --privileged --name "$name" "$IMAGE" >/dev/null
for ((second = 0; ; second++)); do
  ! docker exec "$name" buildctl debug workers || break
  [ "$(docker inspect --format '{{.State.Running}}' "$name")" = true ] || second=60
  if [ "$second" -ge 60 ]; then
    docker logs --tail 20 "$name"
    fail "the daemon in the image does not answer, see its log above"
  fi
  sleep 1
done
docker logs "$name" 2>&1 | tee "${RUNNER_TEMP:?}/buildkitd.log"
! grep -q 'docker-init' "$RUNNER_TEMP/buildkitd.log" || fail "the daemon misses /sbin/docker-init"
