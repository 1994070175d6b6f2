#!/bin/sh
# Starts an offline stand-in for an official Pulumi plugin. This file is a copy that `npm run up` makes
# of runtime/launcher.sh, with the paths of the clone and of Node.js filled in.
node='@NODE@'
main='@MAIN@'
compile_cache='@COMPILE_CACHE@'

if [ ! -x "$node" ] || [ ! -f "$main" ]; then
  echo "this Pulumi plugin is $main, run by $node, and one of the two is gone:" \
    "\`npm run up\` in the clone writes the paths anew" >&2
  exit 1
fi
# Its own, not the program's: what that one has compiled says nothing of what the plugin needs.
export NODE_COMPILE_CACHE="$compile_cache"
exec "$node" "$main" "$@"
