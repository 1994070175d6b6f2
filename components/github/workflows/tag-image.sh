#!/usr/bin/env bash
# Gives the image that passed every test its tags: they appear all at once, and on nothing else.
#
# IMAGE, DIGEST  what was tested
# TAGS           with blanks between
set -euo pipefail

# shellcheck source=fail.sh
. "$(dirname "$0")/fail.sh"

names=()
for tag in $TAGS; do names+=(--tag "$IMAGE:$tag"); done
docker buildx imagetools create "${names[@]}" "$IMAGE@$DIGEST"
for tag in $TAGS; do
  is=$(docker buildx imagetools inspect "$IMAGE:$tag" --format '{{json .Manifest}}' | jq -r .digest)
  echo "$IMAGE:$tag $is"
  # What is not an index may be wrapped into one, which nobody has tested or signed.
  [ "$is" = "$DIGEST" ] || fail "the tag $tag is on $is, not on $DIGEST"
done
