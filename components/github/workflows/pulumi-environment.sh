#!/usr/bin/env bash
# What is not set arrives as an empty text, which Pulumi would take for a backend that was chosen, or a login.
for name in PULUMI_ACCESS_TOKEN PULUMI_BACKEND_URL PULUMI_CONFIG_PASSPHRASE GITHUB_TOKEN; do
  if [ -z "${!name-}" ]; then unset "$name"; fi
done
