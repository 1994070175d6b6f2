#!/usr/bin/env bash
# Puts a preview into the pull request: one comment, which each run writes anew.
#
# AUTHOR        whose token this is: only a comment of theirs is written anew
# PULL_REQUEST  its number
# RESULT        success or failure
# DIFF          a file with the preview
set -euo pipefail

# shellcheck source=github-api.sh
. "$(dirname "$0")/github-api.sh"

[[ $PULL_REQUEST =~ ^[0-9]+$ ]] || fail "input pull-request is '$PULL_REQUEST'; it is a pull request's number"

mark='<!-- preview of the builders -->'
verdict='What this pull request would change on the builders:'
[ "$RESULT" = success ] || verdict='**The preview failed.** Its end:'
# GitHub takes 65,536 characters.
text=$(tail -c 60000 "$DIFF")
# A fence that is longer than any in the text: it cannot be ended from inside.
fence='```'
while grep -qF "$fence" <<<"$text"; do fence+='`'; done
body=$(jq -n --arg body "$mark
$verdict

<details open>

${fence}diff
$text
$fence

</details>" '{$body}')

comment=
for ((page = 1; ; page++)); do
  api GET "/repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments?per_page=100&page=$page"
  comment=$(jq -r --arg mark "$mark" --arg author "$AUTHOR" 'map(select(.user.login == $author and (.body | startswith($mark)))) | .[0].id // empty' <<<"$answer")
  if [ -n "$comment" ] || [ "$(jq length <<<"$answer")" != 100 ]; then break; fi
done
if [ -n "$comment" ]; then
  api PATCH "/repos/$GITHUB_REPOSITORY/issues/comments/$comment" "$body"
else
  api POST "/repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments" "$body"
fi
