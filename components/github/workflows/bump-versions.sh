#!/usr/bin/env bash
# Proposes upstream's newest releases for a stack: a pull request for each of its components that lags
# behind. One that is proposed already, open or refused, is not proposed again.
#
# STACK_FILE    path of the stack file in this repository
# COMPONENTS    of buildkit, containerd, runc, those to look after, with blanks between
# UPSTREAM_API  GitHub's API, where they are
# PREVIEW_WORKFLOW  file name of the workflow that previews a pull request here; empty: there is none
# DRY_RUN       true: says what would be done, and changes nothing
#
# A checksum of `checksums` that goes with the old version is raised along, to the one that GitHub gives for
# upstream's file. A pull request of a workflow's token starts no workflow by itself, so its preview is started here.
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

# The section buildhosts:releases of a stack file, which ends where a line is indented less.
releases_of() {
  awk '/^  buildhosts:releases:/ {on = 1; next} on && /^ {0,3}[^ #]/ {on = 0} on'
}

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

for component in $COMPONENTS; do
  from=${upstream[$component]:-}
  [ -n "$from" ] || fail "component '$component' is none of ${!upstream[*]}"
  pattern="^(    $component: *[\"']?)(v?[0-9]+\.[0-9]+\.[0-9]+)([\"']?.*)\$"
  current=$(releases_of <<<"$before" |
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
    number=$(jq -r 'map(select(.state == "open") | .number) | first // empty' <<<"$answer")
    [ -z "$number" ] || [ "${DRY_RUN:-false}" = true ] || start_preview "$number" "$branch"
    continue
  fi
  if [ "${DRY_RUN:-false}" = true ]; then
    echo "would propose $component $newest instead of $current"
    continue
  fi
  after=$(printf '%s' "$before" | sed -E "/^  buildhosts:releases:/,/^ {0,3}[^ #]/ s/$pattern/\1$newest\3/"; echo .)
  after=${after%.}
  notes=
  api GET "$UPSTREAM_API/repos/$from/releases/tags/$newest"
  digests=$(jq -c '[.assets[] | select(.digest // "" | startswith("sha256:")) | {(.name): .digest[7:]}] | add // {}' <<<"$answer")
  while read -r asset sum; do
    case $component:$asset in
    buildkit:buildkit-"$current".* | containerd:containerd-"${current#v}"-* | containerd:containerd-static-"${current#v}"-* | runc:runc.*) ;;
    *) continue ;;
    esac
    now=${asset/"${current#v}"/"${newest#v}"}
    new_sum=$(jq -r --arg name "$now" '.[$name] // empty' <<<"$digests")
    if [ -z "$new_sum" ]; then
      notes+=$'\n'"- \`$asset\` in \`checksums\` is left as it is: GitHub gives no checksum of \`$now\`. **Replace it before you merge**, or that file is refused, or no longer checked."
      continue
    fi
    after=$(printf '%s' "$after" |
      sed -E "/^  buildhosts:releases:/,/^ {0,3}[^ #]/ s/(^|[^A-Za-z0-9._-])$(literally "$asset")([\"']?: *[\"']?)$sum/\1$now\2$new_sum/"; echo .)
    after=${after%.}
    notes+=$'\n'"- The checksum of \`$now\` is the one that GitHub gives for upstream's file."
  done < <(releases_of <<<"$before" | grep -oE "[A-Za-z0-9._-]+[\"']?: *[\"']?[0-9a-f]{64}" | sed -E "s/[\"']?: *[\"']?/ /")
  if [ -n "${PREVIEW_WORKFLOW:-}" ]; then
    notes+=$'\n'"- Its preview is started by the workflow that made this."
  else
    notes+=$'\n'"- GitHub starts no workflow for a pull request that a workflow made: close it and open it again to have yours run."
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
      jq -n --arg message "Take $component $newest" --arg branch "$branch" --arg sha "$blob" \
        --arg content "$(printf '%s' "$after" | base64 -w 0)" '{$message, $branch, $sha, $content}'
    )"
  fi
  api POST "$repository/pulls" "$(
    jq -n --arg title "Take $component $newest" --arg head "$branch" --arg base "$base" \
      --arg body "$component $newest is out, and \`$STACK_FILE\` has $current: https://github.com/$from/releases/tag/$newest"$'\n'"$notes" \
      '{$title, $head, $base, $body}'
  )"
  number=$(jq .number <<<"$answer")
  echo "$component: proposed $newest instead of $current: $(jq -r .html_url <<<"$answer")"
  start_preview "$number" "$branch"
done
