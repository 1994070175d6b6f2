#!/usr/bin/env bash
# Previews the stack line by line, into preview.txt and the log; what happens to each host, as a table, into preview.md.
#
# STACK               the stack
# POLICY_PACK         a folder with a policy pack that the preview must pass; empty for none
# POLICY_PACK_CONFIG  a file with the pack's configuration; empty for none
set -euo pipefail

# shellcheck source=pulumi-environment.sh
. "$(dirname "$0")/pulumi-environment.sh"
policy=()
if [ -n "${POLICY_PACK-}" ]; then policy+=(--policy-pack "$POLICY_PACK"); fi
if [ -n "${POLICY_PACK_CONFIG-}" ]; then policy+=(--policy-pack-config "$POLICY_PACK_CONFIG"); fi
npm run --silent preview -- --stack "$STACK" --diff --markdown preview.md -- --non-interactive --color never "${policy[@]}" 2>&1 |
  tee preview.txt
