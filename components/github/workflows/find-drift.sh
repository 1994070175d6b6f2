#!/usr/bin/env bash
# Fails when what is there is not what the stack says: somebody changed it, or a certificate is due.
#
# STACK  the stack
set -euo pipefail

# shellcheck source=fail.sh
. "$(dirname "$0")/fail.sh"
# shellcheck source=pulumi-environment.sh
. "$(dirname "$0")/pulumi-environment.sh"
npm run --silent preview -- --stack "$STACK" --diff -- --refresh --expect-no-changes --non-interactive --color never ||
  fail "stack $STACK is not as it should be, see above: run this workflow's job Up, or \`npm run up -- --stack $STACK -- --refresh\`"
