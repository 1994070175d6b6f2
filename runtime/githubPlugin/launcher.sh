#!/bin/sh
# Starts the GitHub plugin that buildhosts builds: an offline stand-in for an official Pulumi plugin. This file is
# a copy that `npm run up` makes of runtime/githubPlugin/launcher.sh, with the paths filled in.
program='@PROGRAM@'
node='@NODE@'
build='@BUILD@'

# A stack whose file names no GitHub any longer may have resources there still, and the cache may be deleted.
if [ ! -x "$program" ]; then
  if [ ! -x "$node" ] || [ ! -f "$build" ]; then
    echo "this Pulumi plugin is $program, built by $build, and both are gone:" \
      "\`npm run up\` in the clone writes the paths anew" >&2
    exit 1
  fi
  program=$(BUILDHOSTS_CACHE='@CACHE@' "$node" "$build") || exit 1
fi
exec "$program" "$@"
