#!/usr/bin/env bash
# Asks every builder whether it takes our work, and leaves out those that do not: `docker buildx inspect
# --bootstrap`, which docker/setup-buildx-action runs, fails as soon as one node of a builder is down.
#
# NODES              [{"name": …, "endpoint": "tcp://host:port", "platforms": ["linux/riscv64", …]}, …]; a pool of builders
#                    has a "domain" too, and is asked for <project>.<domain>
# PROJECT            what is built: a pool builds it where it was built before
# CACERT, CERT, KEY  of a client, PEM
# PLATFORMS          what the build is for, with commas between; empty: what the stack's first builder offers,
#                    whether it answers or not: platforms must not depend on which builders are up
# MISSING_PLATFORMS  what to do about one that no living builder offers: `fail`, or `skip` it
# MAX_NODES          how many nodes the next job can log in to
# ANSWER_SECONDS     how long a builder may take to answer
#
# Outputs, as docker/setup-buildx-action takes them: endpoint, driver-opts and node-platforms of the first builder,
# append with all others; and platforms, what the build is for.
set -euo pipefail

# shellcheck source=fail.sh
. "$(dirname "$0")/fail.sh"

[ -n "$NODES" ] || fail "the variable BUILDER_NODES is empty here: run \`up\` on the stack of the builders, or give the input nodes"
jq -e 'type == "array" and length > 0 and all(.[]; (.endpoint | test("^tcp://[^/]+:[0-9]+$")) and (.platforms | type == "array"))' <<<"$NODES" >/dev/null 2>&1 ||
  fail 'the builders are no list like [{"name": "a", "endpoint": "tcp://a.example.com:1234", "platforms": ["linux/riscv64"]}]'
count=$(jq length <<<"$NODES")
[ "$count" -le "$MAX_NODES" ] || fail "there are $count builders, and this workflow knows $MAX_NODES: run \`up\` on their stack, which renders it anew"
for name in CACERT CERT KEY; do
  [ -n "${!name}" ] || fail "the secret BUILDER_AUTH_TLS_$name is empty here: say \`secrets: inherit\` where this workflow is called, or name it there. A pull request from a fork has none."
done

# As one label of a DNS name.
label=$(tr '[:upper:]' '[:lower:]' <<<"$PROJECT" | sed -E 's/[^a-z0-9]+/-/g; s/^-//' | cut -c 1-63 | sed -E 's/-$//')
NODES=$(jq -c --arg of "$label" 'map(if .domain then . + {"driver-opts": ["servername=\($of).\(.domain)"]} | del(.domain) else . end)' <<<"$NODES")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 700 "$work"
(
  umask 077
  printf '%s\n' "$CACERT" >"$work/ca.pem"
  printf '%s\n' "$CERT" >"$work/cert.pem"
  printf '%s\n' "$KEY" >"$work/key.pem"
)
# An empty message of gRPC: not compressed, no bytes.
printf '\0\0\0\0\0' >"$work/request"

# Asks for the daemon's health as gRPC does. A handshake alone would not do: with TLS 1.3 it looks well
# to a client whose certificate is refused a moment later.
ask() {
  local at=${1#tcp://} name=$2 answer=$3
  local url=https://$at to=()
  if [ -n "$name" ]; then
    url=https://$name:${at##*:}
    to=(--connect-to "$name:${at##*:}:$at")
  fi
  curl --silent --show-error --http2 --noproxy '*' \
    --connect-timeout 5 --max-time "$ANSWER_SECONDS" --retry 2 --retry-connrefused --retry-delay 1 --retry-max-time "$ANSWER_SECONDS" \
    --cacert "$work/ca.pem" --cert "$work/cert.pem" --key "$work/key.pem" \
    --header 'content-type: application/grpc' --header 'te: trailers' \
    --data-binary "@$work/request" --dump-header "$answer.headers" --output "$answer.body" \
    "${to[@]}" "$url/grpc.health.v1.Health/Check" 2>"$answer.error" || return 1
  if grep -qi '^grpc-status: 0' "$answer.headers"; then
    # HealthCheckResponse{status: SERVING}
    [ "$(tail -c 2 "$answer.body" | od -An -tx1 | tr -d ' \n')" = 0801 ] && return
    echo "it is up, but says that it serves nothing" >"$answer.error"
  elif [ ! -s "$answer.error" ]; then
    echo "something else than buildkitd answers there" >"$answer.error"
  fi
  return 1
}

asked=()
for ((i = 0; i < count; i++)); do
  name=$(jq -r ".[$i][\"driver-opts\"][0] // \"\" | ltrimstr(\"servername=\")" <<<"$NODES")
  ask "$(jq -r ".[$i].endpoint" <<<"$NODES")" "$name" "$work/$i" &
  asked+=($!)
done

alive='[]'
{
  echo '| builder | platforms | |'
  echo '| --- | --- | --- |'
} >>"$GITHUB_STEP_SUMMARY"
for ((i = 0; i < count; i++)); do
  node=$(jq -c ".[$i]" <<<"$NODES")
  about=$(jq -r '"\(.name // .endpoint) | \(.platforms | join(", "))"' <<<"$node")
  if wait "${asked[$i]}"; then
    alive=$(jq -c --argjson node "$node" '. + [$node]' <<<"$alive")
    echo "| $about | answers |" >>"$GITHUB_STEP_SUMMARY"
  else
    # Of a certificate that does not fit, curl says more than one line.
    reason=$(grep -m 1 '^curl: ' "$work/$i.error" || tail -n 1 "$work/$i.error")
    echo "::warning::builder ${about%% |*} is left out: $reason"
    echo "| $about | left out: ${reason//|/ } |" >>"$GITHUB_STEP_SUMMARY"
  fi
done
[ "$alive" != '[]' ] || fail "none of the $count builders answers: look at the warnings above"

wanted=${PLATFORMS:-$(jq -r '.[0].platforms | join(",")' <<<"$NODES")}
platforms=
for platform in ${wanted//,/ }; do
  if jq -e --arg platform "$platform" 'any(.[]; .platforms | index($platform))' <<<"$alive" >/dev/null; then
    platforms=${platforms:+$platforms,}$platform
  elif [ "$MISSING_PLATFORMS" = skip ]; then
    echo "::warning::$platform is skipped: no builder that answers offers it"
  else
    fail "no builder that answers offers $platform: bring one back, or set missing-platforms: skip"
  fi
done
[ -n "$platforms" ] || fail "no builder that answers offers any of $wanted"

{
  echo "endpoint=$(jq -r '.[0].endpoint' <<<"$alive")"
  echo "driver-opts=$(jq -r '.[0]["driver-opts"] // [] | join(",")' <<<"$alive")"
  echo "node-platforms=$(jq -r '.[0].platforms | join(",")' <<<"$alive")"
  echo "append=$(jq -c '.[1:] | map(.platforms |= join(","))' <<<"$alive")"
  echo "platforms=$platforms"
} >>"$GITHUB_OUTPUT"
