#!/usr/bin/env bash
# Proposes to raise the digests of a stack file's images, name:tag@sha256:digest, to what their tags are on now: all in
# one pull request. What is proposed already, open or refused, is not proposed again.
#
# STACK_FILE        path of the stack file in this repository
# PREVIEW_WORKFLOW  file name of the workflow that previews a pull request here; empty: there is none
# DRY_RUN           true: says what would be done, and changes nothing
set -euo pipefail

# shellcheck source=propose.sh
. "$(dirname "$0")/propose.sh"

body="Tags have moved since \`$STACK_FILE\` was written:"$'\n'
while read -r image; do
  name=${image%@*}
  if ! digest=$(docker buildx imagetools inspect "$name" --format '{{json .Manifest}}' | jq -er .digest); then
    echo "::warning::$name: its registry does not say what it is on now"
    continue
  fi
  [ "$name@$digest" != "$image" ] || continue
  # Not of an image whose name ends as this one's.
  after=$(printf '%s' "$after" |
    sed -E "s/(^|[^A-Za-z0-9._/:-])$(literally "$image")/\1${name//\//\\/}@$digest/g"; echo .)
  after=${after%.}
  body+=$'\n'"- \`$name\` is on \`$digest\`"
done < <(grep -v '^ *#' <<<"$before" | grep -oE '[A-Za-z0-9][A-Za-z0-9._/:-]*:[A-Za-z0-9_][A-Za-z0-9._-]*@sha256:[0-9a-f]{64}' | sort -u)

if [ "$after" = "$before" ]; then
  echo "every image of $STACK_FILE is what its tag is on"
  exit 0
fi
branch=buildhosts/images-$(sha256sum <<<"$body" | cut -c 1-12)
! is_proposed "$branch" "the images of $STACK_FILE: what they are on now" || exit 0
if [ "${DRY_RUN:-false}" = true ]; then
  echo "would propose: $body"
  exit 0
fi
propose "$branch" "Take the images that their tags are on now" "$body"
echo "proposed what the images' tags are on now: $proposed"
