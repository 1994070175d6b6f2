#!/usr/bin/env bash
# Enables this workflow, which begins GitHub's 60 days anew: after so many without a commit GitHub switches off what a
# public repository has scheduled.
set -euo pipefail

# shellcheck source=github-api.sh
. "$(dirname "$0")/github-api.sh"

file=${GITHUB_WORKFLOW_REF%@*}
api PUT "/repos/$GITHUB_REPOSITORY/actions/workflows/${file##*/}/enable"
echo "${file##*/} stays enabled"
