#!/usr/bin/env bash
# Brings the stack up, and looks at what is there before: what somebody changed is written back.
#
# STACK  the stack
set -euo pipefail

# shellcheck source=pulumi-environment.sh
. "$(dirname "$0")/pulumi-environment.sh"
npm run --silent up -- --stack "$STACK" --yes -- --refresh --non-interactive --color never
