#!/bin/sh
# Starts buildkitd, rootless where the user is not root, with the arguments that are given. Without any
# it serves its local socket and, if /certs holds what that needs, mutual TLS on port 1234: whoever
# reaches a port without it could do everything.
set -eu

if [ $# -eq 0 ]; then
  set -- --addr "${BUILDKIT_HOST:-unix:///run/buildkit/buildkitd.sock}"
  if [ -e /certs/ca.pem ] && [ -e /certs/cert.pem ] && [ -e /certs/key.pem ]; then
    set -- "$@" --addr tcp://0.0.0.0:1234 \
      --tlscacert /certs/ca.pem --tlscert /certs/cert.pem --tlskey /certs/key.pem
  else
    echo "port 1234 is not served: /certs lacks ca.pem, cert.pem or key.pem" >&2
  fi
fi
if [ "$(id -u)" -eq 0 ]; then
  exec buildkitd "$@"
fi
exec rootlesskit buildkitd "$@"
