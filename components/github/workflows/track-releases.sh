#!/usr/bin/env bash
# Sees to it that upstream's newest release is built: opens an issue that tracks it, starts the build,
# and closes the issue when the release is there. What is done already is not done again, so it may be
# run at any time and after it was interrupted anywhere.
#
# BUILD_WORKFLOW  file name of the workflow that builds
# IMAGE           name of the image that it pushes
# UPSTREAM_API    GitHub's API, where moby/buildkit is
# MAX_ATTEMPTS    how often a build that fails is started again
# DRY_RUN         true: says what would be done, and changes nothing
# CLOSE_ONLY      true: closes the issues of what is built, and looks for nothing upstream
set -euo pipefail

# shellcheck source=github-api.sh
. "$(dirname "$0")/github-api.sh"

repository=/repos/$GITHUB_REPOSITORY
labels=(build-in-progress buildkit-release)

# Says what is done, and whether it is to be done.
doing() {
  if [ "${DRY_RUN:-false}" = true ]; then
    echo "would $1"
    return 1
  fi
  echo "$1"
}

is_built() {
  accept='200 404' api GET "$repository/releases/tags/buildkit-$1-riscv64"
  [ "$status" = 200 ]
}

# Every page: an issue that was overlooked would be opened twice.
issues='[]'
for ((page = 1; ; page++)); do
  api GET "$repository/issues?state=open&labels=buildkit-release&per_page=100&page=$page"
  issues=$(jq -c --argjson more "$answer" '. + $more' <<<"$issues")
  [ "$(jq length <<<"$answer")" = 100 ] || break
done
close() {
  local number=$1 comment=$2
  doing "close issue #$number: $comment" || return 0
  # Closed first: a run that is interrupted in between leaves a comment out, and does not write it daily.
  api PATCH "$repository/issues/$number" "$(
    jq --argjson number "$number" '.[] | select(.number == $number)
      | {state: "closed", state_reason: "completed", labels: (.labels | map(.name) - ["build-in-progress"])}' <<<"$issues"
  )"
  api POST "$repository/issues/$number/comments" "$(jq -n --arg body "$comment" '{$body}')"
}

# Of every version: while one was being built, upstream may have released another.
while read -r number tracked; do
  ! is_built "$tracked" ||
    close "$number" "Built: $GITHUB_SERVER_URL/$GITHUB_REPOSITORY/releases/tag/buildkit-$tracked-riscv64"
done < <(jq -r 'sort_by(.number) | .[] | "\(.number) \(.title
  | capture("^Building BuildKit (?<version>v[0-9][0-9A-Za-z.-]*) for RISC-V64$").version)"' <<<"$issues")
[ "${CLOSE_ONLY:-false}" != true ] || exit 0

newest_release moby/buildkit
version=$newest
tag=buildkit-$version-riscv64
title="Building BuildKit $version for RISC-V64"
if is_built "$version"; then
  echo "$version is built: $tag"
  exit 0
fi
# The oldest, should two runs at once have opened one each; those beyond it are closed.
numbers=$(jq -r --arg title "$title" 'map(select(.title == $title) | .number) | sort | .[]' <<<"$issues")
issue=${numbers%%$'\n'*}
for number in $numbers; do
  [ "$number" = "$issue" ] || close "$number" "The same as #$issue."
done

for label in "${labels[@]}"; do
  accept='200 404' api GET "$repository/labels/$label"
  if [ "$status" = 404 ] && doing "make the label $label"; then
    # 422: another run has made it since.
    accept='201 422' api POST "$repository/labels" "{\"name\": \"$label\", \"color\": \"0e8a16\"}"
  fi
done

body=$(
  cat <<END
moby/buildkit has released **$version**, and \`$GITHUB_REPOSITORY\` has no \`$tag\` yet.

The workflow \`$BUILD_WORKFLOW\` builds it. To watch it:

\`\`\`sh
gh run list --workflow $BUILD_WORKFLOW
gh run watch
\`\`\`

When it is there:

- [ ] release \`$tag\` with \`buildkitd\`, \`buildctl\`, packages and checksums
- [ ] image \`$IMAGE:$version-riscv64\`, which can be pulled without a login
- [ ] all five test phases of the run

Upstream: https://github.com/moby/buildkit/releases/tag/$version. This issue is closed by itself.
END
)
if [ -z "$issue" ] && doing "open the issue '$title'"; then
  api POST "$repository/issues" "$(
    jq -n --arg title "$title" --arg body "$body" '{$title, $body, labels: $ARGS.positional}' --args "${labels[@]}"
  )"
  issue=$(jq .number <<<"$answer")
fi

# A run's title is the workflow's run-name, and has the version in it.
accept='200 404' api GET "$repository/actions/workflows/$BUILD_WORKFLOW/runs?event=workflow_dispatch&per_page=100"
[ "$status" = 200 ] || fail "there is no workflow $BUILD_WORKFLOW on the default branch: run \`up\` on the stack that writes it"
ours=$(jq -c --arg title "Build BuildKit $version" '[.workflow_runs[] | select(.display_title == $title)]' <<<"$answer")
running=$(jq 'map(select(.status != "completed")) | length' <<<"$ours")
ended=$(jq 'map(select(.status == "completed")) | length' <<<"$ours")
if [ "$running" -gt 0 ]; then
  echo "a build of $version is under way"
elif [ "$ended" -ge "$MAX_ATTEMPTS" ]; then
  fail "$ended builds of $version have ended and there is no release $tag: look at them, then start $BUILD_WORKFLOW by hand"
elif doing "start $BUILD_WORKFLOW for $version"; then
  api GET "$repository"
  branch=$(jq -r .default_branch <<<"$answer")
  api POST "$repository/actions/workflows/$BUILD_WORKFLOW/dispatches" "$(
    jq -n --arg ref "$branch" --arg version "$version" '{$ref, inputs: {buildkit_ref: $version}}'
  )"
fi
