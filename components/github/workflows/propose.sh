#!/usr/bin/env bash
# What the scripts share that propose changes of a stack file. STACK_FILE, PREVIEW_WORKFLOW and DRY_RUN are as they say.

# shellcheck source=github-api.sh
. "$(dirname "$0")/github-api.sh"

repository=/repos/$GITHUB_REPOSITORY
api GET "$repository"
base=$(jq -r .default_branch <<<"$answer")
accept='200 404' api GET "$repository/contents/$STACK_FILE?ref=$base"
[ "$status" = 200 ] || fail "there is no $STACK_FILE on $base: correct the path in the stack that writes this workflow"
blob=$(jq -r .sha <<<"$answer")
before=$(jq -r .content <<<"$answer" | base64 -d; echo .)
before=${before%.}
after=$before
proposed=

# An extended regular expression that stands for a text.
literally() {
  # shellcheck disable=SC2016 # the $ is one that is looked for
  sed 's/[].[*^$()+?{}|\\/]/\\&/g' <<<"$1"
}

# start_preview NUMBER BRANCH: unless it was started before.
start_preview() {
  local runs=$repository/actions/workflows/${PREVIEW_WORKFLOW:-}
  [ -n "${PREVIEW_WORKFLOW:-}" ] || return 0
  accept='200 404' api GET "$runs/runs?event=workflow_dispatch&per_page=100"
  [ "$status" = 200 ] || return 0
  [ "$(jq --arg branch "$2" '[.workflow_runs[] | select(.head_branch == $branch)] | length' <<<"$answer")" = 0 ] || return 0
  api POST "$runs/dispatches" "$(jq -n --arg ref "$2" --arg number "$1" '{$ref, inputs: {"pull-request": $number}}')"
  echo "started the preview of #$1"
}

# is_proposed BRANCH WHAT: whether there is a pull request of it, open or refused.
is_proposed() {
  local number
  api GET "$repository/pulls?state=all&head=${GITHUB_REPOSITORY%%/*}:$1"
  [ "$(jq length <<<"$answer")" != 0 ] || return 1
  echo "$2 is proposed already: $(jq -r '.[0].html_url' <<<"$answer")"
  number=$(jq -r 'map(select(.state == "open") | .number) | first // empty' <<<"$answer")
  [ -z "$number" ] || [ "${DRY_RUN:-false}" = true ] || start_preview "$number" "$1"
}

# propose BRANCH TITLE BODY: has $after take the place of $before, and its address in $proposed.
propose() {
  local branch=$1 title=$2 body=$3 number
  if [ -n "${PREVIEW_WORKFLOW:-}" ]; then
    body+=$'\n'"- Its preview is started by the workflow that made this."
  else
    body+=$'\n'"- GitHub starts no workflow for a pull request that a workflow made: close it and open it again to have yours run."
  fi
  accept='200 404' api GET "$repository/git/ref/heads/$branch"
  if [ "$status" = 404 ]; then
    api GET "$repository/git/ref/heads/$base"
    accept='201 422' api POST "$repository/git/refs" "$(jq -n --arg ref "refs/heads/$branch" --arg sha "$(jq -r .object.sha <<<"$answer")" '{$ref, $sha}')"
  fi
  # A run that was interrupted may have written it already: then there is nothing to commit.
  api GET "$repository/contents/$STACK_FILE?ref=$branch"
  if [ "$(jq -r .sha <<<"$answer")" = "$blob" ]; then
    api PUT "$repository/contents/$STACK_FILE" "$(
      jq -n --arg message "$title" --arg branch "$branch" --arg sha "$blob" \
        --arg content "$(printf '%s' "$after" | base64 -w 0)" '{$message, $branch, $sha, $content}'
    )"
  fi
  api POST "$repository/pulls" "$(
    jq -n --arg title "$title" --arg head "$branch" --arg base "$base" --arg body "$body" '{$title, $head, $base, $body}'
  )"
  # shellcheck disable=SC2034 # it is for who calls
  proposed=$(jq -r .html_url <<<"$answer")
  number=$(jq .number <<<"$answer")
  start_preview "$number" "$branch"
}
