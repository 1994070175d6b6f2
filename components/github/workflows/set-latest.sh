#!/usr/bin/env bash
# Calls the newest official version the latest, as a release and as an image: of what is published now, whatever
# this run has built, so that a run which took longer, or is repeated, moves nothing back. A development build is
# called so only until there is one.
#
# IMAGE      the image's name
# OFFICIAL   whether this run has built a version, or a candidate of one
# IMAGE_TAG  what this run has built
set -euo pipefail

# shellcheck source=github-api.sh
. "$(dirname "$0")/github-api.sh"

releases=/repos/$GITHUB_REPOSITORY/releases
published='[]'
for ((page = 1; ; page++)); do
  api GET "$releases?per_page=100&page=$page"
  published=$(jq -c --argjson more "$answer" '. + $more' <<<"$published")
  [ "$(jq length <<<"$answer")" = 100 ] || break
done
newest=$(jq -c '[.[] | select(.draft or .prerelease | not)
  | {id, version: (.tag_name | capture("^buildkit-v(?<version>[0-9]+[.][0-9]+[.][0-9]+)-riscv64$").version)}]
  | sort_by(.version | split(".") | map(tonumber)) | last // empty' <<<"$published")

if [ -n "$newest" ]; then
  tag=v$(jq -r .version <<<"$newest")-riscv64
  api PATCH "$releases/$(jq .id <<<"$newest")" '{"make_latest": "true"}'
elif [ "$OFFICIAL" = true ]; then
  echo "no version is published yet, and a candidate is not the latest"
  exit 0
else
  tag=$IMAGE_TAG
fi
DIGEST=$(docker buildx imagetools inspect "$IMAGE:$tag" --format '{{json .Manifest}}' | jq -r .digest) ||
  fail "there is no image $IMAGE:$tag, which is to be called latest"
TAGS=latest

# shellcheck source=tag-image.sh
. "$(dirname "$0")/tag-image.sh"
