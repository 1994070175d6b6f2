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

# shellcheck source=propose.sh
. "$(dirname "$0")/propose.sh"

declare -A upstream=([buildkit]=moby/buildkit [containerd]=containerd/containerd [runc]=opencontainers/runc)

# The section buildhosts:releases of a stack file, which ends where a line is indented less.
releases_of() {
  awk '/^  buildhosts:releases:/ {on = 1; next} on && /^ {0,3}[^ #]/ {on = 0} on'
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
  ! is_proposed "$branch" "$component: $newest" || continue
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
  propose "$branch" "Take $component $newest" \
    "$component $newest is out, and \`$STACK_FILE\` has $current: https://github.com/$from/releases/tag/$newest"$'\n'"$notes"
  echo "$component: proposed $newest instead of $current: $proposed"
done
