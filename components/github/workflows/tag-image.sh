#!/usr/bin/env bash
# Gives the image that passed every test its tags: they appear all at once, and on nothing else.
#
# IMAGE, DIGEST  what was tested
# TAGS           with blanks between
set -euo pipefail

names=()
for tag in $TAGS; do names+=(--tag "$IMAGE:$tag"); done
docker buildx imagetools create "${names[@]}" "$IMAGE@$DIGEST"
for tag in $TAGS; do docker buildx imagetools inspect "$IMAGE:$tag" --format '{{.Name}} {{.Manifest.Digest}}'; done
