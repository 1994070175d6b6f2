#!/usr/bin/env bash
# Fails when what is there is not what the stack says: somebody changed it, or a certificate is due.
#
# STACK  the stack
set -euo pipefail

# shellcheck source=fail.sh
. "$(dirname "$0")/fail.sh"
# shellcheck source=pulumi-environment.sh
. "$(dirname "$0")/pulumi-environment.sh"
said=${RUNNER_TEMP:?}/drift.txt
if npm run --silent preview -- --stack "$STACK" --diff -- --refresh --expect-no-changes --non-interactive --color never 2>&1 | tee "$said"; then exit 0; fi
grep -Eq '^ *error: no changes were expected .*but changes were proposed' "$said" ||
  fail "stack $STACK could not be compared with what is there, see above"
fail "the hosts or repositories of stack $STACK differ from the stack file, see above: run the last run of this workflow's job Up again, or \`npm run up -- --stack $STACK -- --refresh\`"
