#!/usr/bin/env bash
# Puts a preview into the pull request: one comment, which each run writes anew.
#
# AUTHOR        whose token this is: only a comment of theirs is written anew
# PULL_REQUEST  its number
# RESULT        success or failure
# DIFF          a file with the preview
# TABLE         a file with what happens to each host, in Markdown; one that is not there is left out
set -euo pipefail

# shellcheck source=github-api.sh
. "$(dirname "$0")/github-api.sh"

[[ $PULL_REQUEST =~ ^[0-9]+$ ]] || fail "input pull-request is '$PULL_REQUEST'; it is a pull request's number"

mark='<!-- preview of the builders -->'
verdict='What this pull request would change on the builders:'
[ "$RESULT" = success ] || verdict='**The preview failed.** Its end:'
# GitHub takes 65,536 characters: the table has a part of them, the end of the diff the others.
room=60000
table=
open=' open'
if [ "$RESULT" = success ] && [ -s "${TABLE-}" ]; then
  # The pull request's program could have written anything there: none of it may become a link, a mention, a picture or HTML.
  table=$(sed -e 's/</\&lt;/g' -e 's/&lt;br>/<br>/g' -e 's/@/\&#64;/g' -e 's/\[/\&#91;/g' -e 's/`/\&#96;/g' -e 's/~/\&#126;/g' \
    -e 's#://#\&\#58;//#g' -e 's/[Ww][Ww][Ww]\./www\&#46;/g' "$TABLE")
  table=${table:0:24000}
  room=36000
  open=
fi
text=$(tail -c "$room" "$DIFF")
whole='The whole diff'
[ "$(wc -c <"$DIFF")" -le "$room" ] || whole="The end of the diff; the artifact 'preview' of the run has all of it"
# A fence that is longer than any in the text: it cannot be ended from inside.
fence='```'
while grep -qF "$fence" <<<"$text"; do fence+='`'; done
body=$(jq -n --arg body "$mark
$verdict

$table

<details$open>
<summary>$whole</summary>

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
