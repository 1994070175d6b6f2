#!/usr/bin/env bash
# The full names of an image, from its name and its tags.
#
# IMAGE  registry/name, without a tag
# TAGS   with blanks between
#
# Outputs: tags, one name in each line; registry; and scope, what keeps the image's cache apart.
set -euo pipefail

# shellcheck source=fail.sh
. "$(dirname "$0")/fail.sh"

[[ $IMAGE =~ ^([a-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*$ ]] ||
  fail "input image is '$IMAGE'; it is a registry and a name in lower case, without a tag: ghcr.io/owner/name"
registry=${IMAGE%%/*}
[[ $IMAGE == */* && $registry == *[.:]* ]] || registry=docker.io

names=
for tag in $TAGS; do
  [[ $tag =~ ^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$ ]] || fail "input tags has '$tag', which is no tag"
  names+=$IMAGE:$tag$'\n'
done
[ -n "$names" ] || fail "input tags is empty; give at least one"

{
  echo "registry=$registry"
  echo "scope=${IMAGE//[^a-z0-9]/-}"
  echo "tags<<END_OF_TAGS"
  printf '%s' "$names"
  echo END_OF_TAGS
} >>"$GITHUB_OUTPUT"
