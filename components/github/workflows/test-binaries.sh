#!/usr/bin/env bash
# Phase 1: the binaries are for this machine, static, of the version that was asked for, and start.
#
# BUILDKIT_REF, SHA, OFFICIAL  what they were built from
# MACHINE                      `uname -m` of what they are for
set -euo pipefail

# shellcheck source=fail.sh
. "$(dirname "$0")/fail.sh"

[ "$(uname -m)" = "$MACHINE" ] || fail "this runner is $(uname -m), not $MACHINE: correct the labels that the workflow runs on"
cd dist
chmod +x buildkitd buildctl
for program in buildkitd buildctl; do
  # e_machine of the ELF header: 243 is RISC-V.
  [ "$MACHINE" != riscv64 ] || [ "$(od -An -tu2 -j18 -N2 "$program" | tr -d ' ')" = 243 ] ||
    fail "$program is for another machine"
  ! grep -aq /lib/ld-linux "$program" || fail "$program is linked dynamically"
  said=$("./$program" --version) || fail "$program does not start"
  echo "$said"
  case $said in
  "$program github.com/moby/buildkit $BUILDKIT_REF $SHA") ;;
  "$program github.com/moby/buildkit "*" $SHA") [ "$OFFICIAL" = false ] || fail "$program says another version than $BUILDKIT_REF" ;;
  *) fail "$program says another commit than $SHA" ;;
  esac
done
grep -q "$SHA" VERSION.txt || fail "VERSION.txt is of another build"

# Bad configuration must be refused with a message: the daemon gets as far as reading it.
echo 'nonsense' >"$RUNNER_TEMP/buildkitd.toml"
if said=$(timeout 60 ./buildkitd --config "$RUNNER_TEMP/buildkitd.toml" 2>&1); then fail "buildkitd runs on a configuration that is none"; fi
grep -qi 'toml\|config' <<<"$said" || fail "buildkitd does not start: $(tail -n 1 <<<"$said")"
