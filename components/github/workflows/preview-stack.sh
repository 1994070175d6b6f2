#!/usr/bin/env bash
# Previews the stack line by line, into preview.txt and the log.
#
# STACK  the stack
set -euo pipefail

# shellcheck source=pulumi-environment.sh
. "$(dirname "$0")/pulumi-environment.sh"
npm run --silent preview -- --stack "$STACK" --diff -- --non-interactive --color never 2>&1 | tee preview.txt
