#!/bin/sh
# prepare-podman.sh URL: makes this board a Podman host, as prepare-host.sh makes it a Docker host.
#
# Afterwards Podman's Docker-compatible socket is at /run/podman/podman.sock.
set -eu
curl --fail --silent --show-error "$1" | tar --directory=/ -x
systemctl enable --now podman.socket podman-restart.service
