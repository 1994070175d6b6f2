#!/bin/sh
# verify-release.sh ASSET PUBLISHED [SHA256S]: fails unless the sha256 of the file ASSET is one of SHA256S or,
# where there are none, the one that PUBLISHED gives for it: a sha256sum list, or an in-toto statement with
# the asset among its subjects, which is how BuildKit publishes it.
set -eu
asset=$1
published=$2
expected=${3-}

if [ -z "$expected" ]; then
  expected=$(tr -d '\r' <"$published" | awk -v asset="$asset" '
    length($1) == 64 && ($2 == asset || $2 == "*" asset || $2 == "./" asset) { print $1; exit }')
fi
if [ -z "$expected" ]; then
  expected=$(tr -d ' \t\r\n' <"$published" | tr '}' '\n' | grep -F "\"name\":\"$asset\"" |
    sed -n 's/.*"sha256":"\([0-9a-f]\{64\}\)".*/\1/p' | head -n 1)
fi
if [ -z "$expected" ]; then
  echo "$asset: $published names no sha256 for it; give it as a build argument" >&2
  exit 1
fi
actual=$(sha256sum <"$asset" | cut -d ' ' -f 1)
for sum in $expected; do
  if [ "$sum" = "$actual" ]; then
    exit 0
  fi
done
echo "$asset has the sha256 $actual, but $expected was expected: it is damaged, or not the one that was meant" >&2
exit 1
