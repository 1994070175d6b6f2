#!/usr/bin/env bash
# Puts the cache that this build wrote in the place of the one that it read.
#
# SCOPE  as choose-cache.sh has it
set -euo pipefail

folder=${RUNNER_TOOL_CACHE:?}/buildhosts/$SCOPE
[ -d "$folder.new" ] || exit 0
rm -rf "$folder.old"
[ ! -d "$folder" ] || mv "$folder" "$folder.old"
mv "$folder.new" "$folder"
rm -rf "$folder.old"
