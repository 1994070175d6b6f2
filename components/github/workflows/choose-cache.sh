#!/usr/bin/env bash
# Turns the kind of a build cache into the inputs cache-from and cache-to of docker/build-push-action.
#
# CACHE          registry, gha, s3, azblob, local, inline or none
# CACHE_MODE     max (every step's layers) or min (the image's own)
# CACHE_OPTIONS  further settings of that cache, key=value with commas between
# IMAGE, SCOPE   the image's name, and what keeps this cache apart from others
# TAGS           the image's, with blanks between: what has an inline cache in it
# PUSH           whether the image is pushed: without that, no registry is logged in to or written to
set -euo pipefail

# shellcheck source=fail.sh
. "$(dirname "$0")/fail.sh"

case $CACHE_MODE in
max | min) ;;
*) fail "input cache-mode is '$CACHE_MODE'; it is max or min" ;;
esac
[[ $CACHE_OPTIONS =~ ^([a-z_-]+=[^,[:space:]\"]+(,[a-z_-]+=[^,[:space:]\"]+)*)?$ ]] ||
  fail "input cache-options is not of the form key=value,key=value"
# An option ends up in a command line, which everybody on the machine can read.
if [[ ,$CACHE_OPTIONS =~ ,(access_key_id|secret_access_key|session_token|account_key|token)= ]]; then
  fail "input cache-options names ${BASH_REMATCH[1]}: credentials are not taken there; see the workflow's secrets"
fi
has() { [[ ,$CACHE_OPTIONS, =~ ,$1= ]]; }
options=${CACHE_OPTIONS:+,$CACHE_OPTIONS}

case $CACHE in
registry)
  [ -n "$IMAGE" ] || fail "the registry cache needs the input image"
  if has ref; then at=; else at=,ref=$IMAGE:buildcache-$SCOPE; fi
  from=type=registry$at$options
  to=
  if [ "$PUSH" = true ]; then to=$from,mode=$CACHE_MODE; fi
  ;;
gha)
  if has scope; then at=; else at=,scope=$SCOPE; fi
  from=type=gha$at$options
  to=$from,mode=$CACHE_MODE
  ;;
s3)
  if ! has region || ! has bucket; then fail "the s3 cache needs cache-options: region=…,bucket=…"; fi
  if has name; then at=; else at=,name=$SCOPE; fi
  from=type=s3$at$options
  to=$from,mode=$CACHE_MODE
  ;;
azblob)
  has account_url || fail "the azblob cache needs cache-options: account_url=https://….blob.core.windows.net"
  if has name; then at=; else at=,name=$SCOPE; fi
  from=type=azblob$at$options
  to=$from,mode=$CACHE_MODE
  ;;
local)
  folder=${RUNNER_TOOL_CACHE:?}/buildhosts/$SCOPE
  from=type=local,src=$folder
  # The exporter adds to a folder and takes nothing away: keep-local-cache.sh puts this one in its place.
  to=type=local,dest=$folder.new,mode=$CACHE_MODE$options
  ;;
inline)
  [ -n "$IMAGE" ] || fail "the inline cache needs the input image"
  # It is in what the build before has pushed: under the first of these tags, unless another name is given.
  if has ref; then at=; else at=,ref=$IMAGE:${TAGS%% *}; fi
  from=type=registry$at$options
  to=type=inline
  ;;
none)
  from=
  to=
  ;;
*) fail "input cache is '$CACHE'; it is one of registry, gha, s3, azblob, local, inline, none" ;;
esac

{
  echo "from=$from"
  echo "to=$to"
} >>"$GITHUB_OUTPUT"
