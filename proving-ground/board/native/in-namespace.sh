#!/bin/bash
# in-namespace.sh KERNEL ARGUMENT...: in a new network namespace, joins the kernel's device uml0 with slirp's tap0, for which it asks
# by a line on descriptor 3, and becomes the kernel. Ends with 1 when the board wants to boot again.
set -eu
kernel=$1
shift
ip link set dev lo up
ip tuntap add dev uml0 mode tap
ip link add dev bridge0 type bridge
ip link set dev uml0 master bridge0 up
ip link set dev bridge0 up
echo "waiting for tap0" >&3
exec 3>&-
waited=0
until ip link set dev tap0 master bridge0 up 2>/dev/null; do
  waited=$((waited + 1))
  [ "$waited" -lt 1000 ] || exit 3
  sleep 0.01
done
# To reboot, the kernel starts its program anew by the name that it was given, here one that ends with 1.
exec -a /bin/false "$kernel" "$@"
