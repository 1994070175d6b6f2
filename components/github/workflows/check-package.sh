#!/usr/bin/env bash
# Says who can pull the package, and the step by hand that changes it: GitHub has no API for that.
#
# PACKAGE     name of the container package, without its owner
# VISIBILITY  what it is to be: public, private or internal
set -euo pipefail

# shellcheck source=github-api.sh
. "$(dirname "$0")/github-api.sh"

owner=${GITHUB_REPOSITORY%%/*}
api GET "/users/$owner"
kind=users
[ "$(jq -r .type <<<"$answer")" != Organization ] || kind=orgs
encoded=$(jq -rn --arg name "$PACKAGE" '$name | @uri')
accept='200 403 404' api GET "/$kind/$owner/packages/container/$encoded"
case $status in
404)
  echo "::warning::the package $PACKAGE is not there: it appears with its first push"
  exit 0
  ;;
403)
  echo "::warning::this token may not see the package $PACKAGE: it needs packages: read"
  exit 0
  ;;
esac
case $kind in
users) page=$GITHUB_SERVER_URL/users/$owner/packages/container/$encoded/settings ;;
orgs) page=$GITHUB_SERVER_URL/orgs/$owner/packages/container/$encoded/settings ;;
esac
is=$(jq -r .visibility <<<"$answer")
repository=$(jq -r '.repository.full_name // "no repository"' <<<"$answer")
echo "the package $PACKAGE is $is and belongs to $repository"
[ "$repository" = "$GITHUB_REPOSITORY" ] ||
  echo "::warning::package $PACKAGE belongs to $repository, not to $GITHUB_REPOSITORY, whose workflows then cannot push to it. By hand: open $page, and under Manage Actions access add $GITHUB_REPOSITORY with the role Write."
if [ "$is" != "$VISIBILITY" ]; then
  echo "::warning::package $PACKAGE is $is and should be $VISIBILITY. By hand, as GitHub has no API for it: open $page, and under Danger Zone choose Change visibility, $VISIBILITY."
fi
