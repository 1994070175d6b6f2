#!/usr/bin/env bash
# What the scripts that talk to GitHub share. GITHUB_API_URL and GITHUB_REPOSITORY are the runner's,
# GH_TOKEN is the workflow's.

status=
answer=
newest=

# shellcheck source=fail.sh
. "$(dirname "$0")/fail.sh"

# Asks GitHub: api METHOD PATH [BODY]. $answer and $status are the answer's body and status afterwards; a
# status that is not among $accept ends the script. What went wrong on the way or at GitHub is tried again,
# but for a POST or a PUT, whose answer may be lost when the deed is done: another run looks first.
api() {
  local method=$1 path=$2 body=${3-} url=$2 retry=() file
  case $path in http*) ;; *) url=$GITHUB_API_URL$path ;; esac
  case $method in POST | PUT) ;; *) retry=(--retry 4 --retry-max-time 120 --retry-all-errors) ;; esac
  file=$(mktemp)
  status=$(
    # The token on standard input is in no process list.
    printf 'header = "Authorization: Bearer %s"\n' "$GH_TOKEN" |
      curl --silent --show-error --config - --request "$method" --max-time 60 "${retry[@]}" \
        --header 'Accept: application/vnd.github+json' --header 'X-GitHub-Api-Version: 2022-11-28' \
        ${body:+--header 'Content-Type: application/json' --data "$body"} \
        --output "$file" --write-out '%{http_code}' "$url"
  ) || fail "$method $url: no answer"
  answer=$(cat "$file")
  rm -f "$file"
  case " ${accept:-200 201 202 204} " in
  *" $status "*) ;;
  *) fail "$method $url: status $status: $(jq -r '.message? // empty' <<<"$answer" 2>/dev/null | head -n 1)" ;;
  esac
}

# The tag of the newest release vX.Y.Z of a repository, in $newest. Among the others are release candidates,
# and BuildKit's are mixed with those of its Dockerfile frontend.
newest_release() {
  api GET "$UPSTREAM_API/repos/$1/releases?per_page=50"
  newest=$(jq -r 'map(select((.draft or .prerelease | not) and (.tag_name | test("^v[0-9]+[.][0-9]+[.][0-9]+$")))
    | .tag_name) | sort_by(ltrimstr("v") | split(".") | map(tonumber)) | last // empty' <<<"$answer")
  [ -n "$newest" ] || fail "$1 has no release vX.Y.Z among its newest 50"
}
