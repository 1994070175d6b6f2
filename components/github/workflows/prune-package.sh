#!/usr/bin/env bash
# Deletes old versions of the package: development builds beyond the newest few, and what has no tag and
# belongs to nothing that has one. What `sha256-<digest>` names belongs to the version of that digest; the
# platforms and attestations of an image have no tag and belong to its index.
#
# PACKAGE                  name of the container package, without its owner
# KEEP_DEVELOPMENT_BUILDS  how many of them stay
# KEEP_UNTAGGED_DAYS       how long what has no tag stays, as it may be of a build that goes on
# REGISTRY                 where the package is pulled from: https://ghcr.io
# NOW                      seconds since 1970; empty: now
set -euo pipefail

# shellcheck source=github-api.sh
. "$(dirname "$0")/github-api.sh"

owner=${GITHUB_REPOSITORY%%/*}
api GET "/users/$owner"
kind=users
[ "$(jq -r .type <<<"$answer")" != Organization ] || kind=orgs
api_path=/$kind/$owner/packages/container/$(jq -rn --arg name "$PACKAGE" '$name | @uri')

versions='[]'
for ((page = 1; ; page++)); do
  accept='200 404' api GET "$api_path/versions?per_page=100&page=$page"
  [ "$status" = 200 ] || break
  versions=$(jq -c --argjson more "$answer" '. + ($more | map({id, digest: .name, created: .created_at, tags: (.metadata.container.tags // [])}))' <<<"$versions")
  [ "$(jq length <<<"$answer")" = 100 ] || break
done

# Tags of development builds end in their date. Newest first, those beyond the number go.
stale=$(jq -c --argjson keep "$KEEP_DEVELOPMENT_BUILDS" '
  map(select(.tags | length > 0 and all(test("-[0-9]{8}$")))) | sort_by(.created) | reverse | .[$keep:]' <<<"$versions")
kept=$(jq -c --argjson stale "$stale" '
  map(select(.tags | any(test("^sha256-") | not))) - $stale | map(.digest)' <<<"$versions")

# What each of those consists of, and what is said about it, which is an index of its own.
belongs=$kept
for digest in $(jq -r --argjson kept "$kept" '
  .[] | select((.digest | IN($kept[])) or (.tags | any(test("^sha256-") and ("sha256:" + .[7:71] | IN($kept[]))))) | .digest' <<<"$versions"); do
  manifest=$(
    printf 'header = "Authorization: Bearer %s"\n' "$(printf %s "$GH_TOKEN" | base64 -w 0)" |
      curl --silent --show-error --fail --config - --max-time 60 --retry 4 --retry-all-errors \
        --header 'Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json' \
        "$REGISTRY/v2/${owner,,}/$PACKAGE/manifests/$digest"
  ) || fail "the registry does not say what $digest consists of, so nothing is deleted"
  belongs=$(jq -c --arg digest "$digest" --argjson manifest "$manifest" '. + [$digest] + [$manifest.manifests[]?.digest] | unique' <<<"$belongs")
done

before=$((${NOW:-$(date +%s)} - KEEP_UNTAGGED_DAYS * 86400))
for id in $(jq -r --argjson stale "$stale" --argjson belongs "$belongs" --argjson before "$before" '
  .[] | select(.digest | IN($belongs[]) | not)
  | select((. as $one | $stale | index([$one])) or ((.tags | all(test("^sha256-"))) and (.created | fromdate) < $before))
  | .id' <<<"$versions"); do
  echo "delete version $id: $(jq -r --argjson id "$id" '.[] | select(.id == $id) | "\(.digest) \(.tags | join(" "))"' <<<"$versions")"
  accept='204 404' api DELETE "$api_path/versions/$id"
done
