#!/usr/bin/env bash
# Brings the stack up.
#
# STACK  the stack
set -euo pipefail

# shellcheck source=pulumi-environment.sh
. "$(dirname "$0")/pulumi-environment.sh"
npm run --silent up -- --stack "$STACK" --yes -- --non-interactive --color never
