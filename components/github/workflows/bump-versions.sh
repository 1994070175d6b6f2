#!/usr/bin/env bash
# Proposes upstream's newest releases for a stack: a pull request for each of its components that lags
# behind. One that is proposed already, open or refused, is not proposed again.
#
# STACK_FILE    path of the stack file in this repository
# COMPONENTS    of buildkit, containerd, runc, those to look after, with blanks between
# UPSTREAM_API  GitHub's API, where they are
# DRY_RUN       true: says what would be done, and changes nothing
set -euo pipefail

# shellcheck source=github-api.sh
. "$(dirname "$0")/github-api.sh"

repository=/repos/$GITHUB_REPOSITORY
declare -A upstream=([buildkit]=moby/buildkit [containerd]=containerd/containerd [runc]=opencontainers/runc)

api GET "$repository"
base=$(jq -r .default_branch <<<"$answer")
accept='200 404' api GET "$repository/contents/$STACK_FILE?ref=$base"
[ "$status" = 200 ] || fail "there is no $STACK_FILE on $base: correct the path in the stack that writes this workflow"
blob=$(jq -r .sha <<<"$answer")
before=$(jq -r .content <<<"$answer" | base64 -d; echo .)
before=${before%.}

for component in $COMPONENTS; do
  from=${upstream[$component]:-}
  [ -n "$from" ] || fail "component '$component' is none of ${!upstream[*]}"
  pattern="^(    $component: *[\"']?)(v?[0-9]+\.[0-9]+\.[0-9]+)([\"']?.*)\$"
  # The component's line in the section buildhosts:releases, which ends where a line is indented less.
  current=$(awk '/^  buildhosts:releases:/ {on = 1; next} on && /^ {0,3}[^ #]/ {on = 0} on' <<<"$before" |
    sed -nE "s/$pattern/\2/p" | head -n 1)
  if [ -z "$current" ]; then
    echo "$component: $STACK_FILE pins no version, so \`up\` follows this project's own"
    continue
  fi
  newest_release "$from"
  if [ "$(printf '%s\n' "${newest#v}" "${current#v}" | sort -V | tail -n 1)" = "${current#v}" ]; then
    echo "$component: $current is the newest"
    continue
  fi
  branch=buildhosts/$component-$newest
  api GET "$repository/pulls?state=all&head=${GITHUB_REPOSITORY%%/*}:$branch"
  if [ "$(jq length <<<"$answer")" != 0 ]; then
    echo "$component: $newest is proposed already: $(jq -r '.[0].html_url' <<<"$answer")"
    continue
  fi
  if [ "${DRY_RUN:-false}" = true ]; then
    echo "would propose $component $newest instead of $current"
    continue
  fi
  after=$(printf '%s' "$before" | sed -E "/^  buildhosts:releases:/,/^ {0,3}[^ #]/ s/$pattern/\1$newest\3/"; echo .)
  after=${after%.}
  accept='200 404' api GET "$repository/git/ref/heads/$branch"
  if [ "$status" = 404 ]; then
    api GET "$repository/git/ref/heads/$base"
    accept='201 422' api POST "$repository/git/refs" "$(jq -n --arg ref "refs/heads/$branch" --arg sha "$(jq -r .object.sha <<<"$answer")" '{$ref, $sha}')"
  fi
  # A run that was interrupted may have written it already: then there is nothing to commit.
  api GET "$repository/contents/$STACK_FILE?ref=$branch"
  if [ "$(jq -r .sha <<<"$answer")" = "$blob" ]; then
    api PUT "$repository/contents/$STACK_FILE" "$(
      jq -n --arg message "Take $component $newest" --arg branch "$branch" --arg sha "$blob" \
        --arg content "$(printf '%s' "$after" | base64 -w 0)" '{$message, $branch, $sha, $content}'
    )"
  fi
  api POST "$repository/pulls" "$(
    jq -n --arg title "Take $component $newest" --arg head "$branch" --arg base "$base" \
      --arg body "$component $newest is out, and \`$STACK_FILE\` has $current: https://github.com/$from/releases/tag/$newest" \
      '{$title, $head, $base, $body}'
  )"
  echo "$component: proposed $newest instead of $current: $(jq -r .html_url <<<"$answer")"
done
