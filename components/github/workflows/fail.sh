#!/usr/bin/env bash
# Ends a script with an error that the run shows on its first page.
fail() {
  echo "::error::$*"
  exit 1
}
