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
run() { docker run --rm --entrypoint "$1" "$IMAGE" "${@:2}"; }
[ "$(run readlink -f /sbin/docker-init)" = "$(run readlink -f /usr/bin/tini)" ] || fail "/sbin/docker-init does not lead to tini"
for init in /usr/bin/tini /sbin/docker-init; do run "$init" --version || fail "$init does not start"; done

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
