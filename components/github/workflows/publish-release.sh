#!/usr/bin/env bash
# Publishes a release with every file of a folder. It is a draft until it is whole, so that nobody sees
# half of it, and a run that was interrupted leaves nothing that the next one does not clear away. Which one is
# called latest, set-latest.sh decides.
#
# RELEASE, TITLE  its tag and its name
# OFFICIAL        true: published once; false: takes the place of one of the same name
# PRERELEASE      whether it is one
# FILES           the folder
# NOTES           a file with its text
# COMMITISH       the commit that the tag is made at
set -euo pipefail

# shellcheck source=github-api.sh
. "$(dirname "$0")/github-api.sh"

releases=/repos/$GITHUB_REPOSITORY/releases

accept='200 404' api GET "$releases/tags/$RELEASE"
before=
if [ "$status" = 200 ] && [ "$(jq .draft <<<"$answer")" = false ]; then
  if [ "$OFFICIAL" = true ]; then
    echo "$RELEASE is published already"
    exit 0
  fi
  before=$(jq -r .id <<<"$answer")
fi

# Drafts of runs that did not come to their end. A tag of its own keeps a draft from what is published.
draft=$RELEASE-draft
api GET "$releases?per_page=100"
for id in $(jq -r --arg tag "$draft" '.[] | select(.draft and .tag_name == $tag) | .id' <<<"$answer"); do
  accept='204 404' api DELETE "$releases/$id"
done

api POST "$releases" "$(
  jq -n --arg tag_name "$draft" --arg name "$TITLE" --rawfile body "$NOTES" --arg target_commitish "$COMMITISH" \
    --argjson prerelease "$PRERELEASE" '{$tag_name, $name, $body, $target_commitish, draft: true, $prerelease}'
)"
id=$(jq -r .id <<<"$answer")
upload=$(jq -r '.upload_url | split("{")[0]' <<<"$answer")

for file in "$FILES"/*; do
  name=$(basename "$file")
  uploaded=$(
    printf 'header = "Authorization: Bearer %s"\n' "$GH_TOKEN" |
      curl --silent --show-error --config - --request POST --max-time 600 \
        --header 'Content-Type: application/octet-stream' --data-binary "@$file" \
        --output /dev/null --write-out '%{http_code}' "$upload?name=$(jq -rn --arg name "$name" '$name | @uri')"
  ) || fail "$name: the upload broke off"
  [ "$uploaded" = 201 ] || fail "$name: the upload ended with status $uploaded"
  echo "uploaded $name"
done

if [ -n "$before" ]; then
  accept='204 404' api DELETE "$releases/$before"
  accept='204 404 422' api DELETE "/repos/$GITHUB_REPOSITORY/git/refs/tags/$RELEASE"
fi
api PATCH "$releases/$id" "$(jq -n --arg tag_name "$RELEASE" '{$tag_name, draft: false, make_latest: "false"}')"
echo "published $(jq -r .html_url <<<"$answer")"
