# shellcheck shell=sh
# deactivate: no unit, no binary and no file of ours is in use. uninstall: nothing of ours is left.

deactivate() {
  [ ! -e "$HOME_DIR/units" ] || while read -r name; do
    case $name in *.socket) systemctl disable --now --quiet "$name" 2>/dev/null ;; *) ;; esac
  done <"$HOME_DIR/units"
  [ ! -e "$HOME_DIR/units" ] || while read -r name; do
    case $name in *.service) systemctl disable --now --quiet "$name" 2>/dev/null ;; *) ;; esac
    path=$(unit_path "$name")
    rm -f "$path"
    case $name in *__*) rmdir "$(dirname "$path")" 2>/dev/null ;; *) ;; esac
  done <"$HOME_DIR/units"
  our_links | while read -r path; do rm -f "$path"; done
  rm -f "$HOME_DIR/units" "$HOME_DIR/current" "$HOME_DIR/good" "$HOME_DIR/previous" "$HOME_DIR/pending"
  if [ -d "$HOME_DIR/displaced" ]; then
    (cd "$HOME_DIR/displaced" && find . ! -type d) | while read -r path; do
      path=${path#.}
      mkdir -p "$(dirname "$path")"
      mv "$HOME_DIR/displaced$path" "$path"
      say "$BOARD: $path of the earlier installation is back"
    done
    rm -rf "$HOME_DIR/displaced"
  fi
  rmdir "$ETC_DIR" "$UNIT_DIR" "${UNIT_DIR%/*}" 2>/dev/null
  systemctl daemon-reload
  for unit in containerd.service buildkitd.service; do
    # Only an earlier installation's unit is still here; it ran before, so it runs again.
    [ ! -f "$UNIT_DIR/$unit" ] || systemctl enable --now --quiet "$unit"
  done
  # Units that failed once are remembered by systemd until told otherwise.
  systemctl reset-failed containerd.service buildkitd.service buildkitd.socket 2>/dev/null
  return 0
}

uninstall() {
  deactivate
  remove_state buildkit buildkitd.service "$@"
  remove_state containerd containerd.service "$@"
  # containerd makes these folders; where they are not empty, somebody else uses them too.
  rmdir /opt/containerd/bin /opt/containerd/lib /opt/containerd /etc/cni/net.d /etc/cni 2>/dev/null
  remove_rootless_user
  # This script goes last: without it, one that was killed here would leave the rest for ever.
  for path in "$HOME_DIR"/*; do
    [ "$path" = "$HOME_DIR/boardctl" ] || rm -rf "$path" || fail "$path cannot be removed; run the update again"
  done
  rm -rf "$HOME_DIR"
  say "$BOARD: buildhosts is removed"
}

# remove_state NAME UNIT [--remove-cache]: what UNIT kept outside of $HOME_DIR is gone, its cache if asked for. Where
# an earlier installation's UNIT is here again, it keeps its sockets and its data where ours had them.
remove_state() {
  if [ -e "$UNIT_DIR/$2" ] || unit_active "$2"; then
    say "$BOARD: $2 of an earlier installation is here, so /run/$1 and /var/lib/$1 stay"
    return 0
  fi
  rm -rf "/run/$1"
  if [ "$1" = buildkit ]; then remove_bridges; fi
  [ "${3-}" = --remove-cache ] || return 0
  rm -rf "/var/lib/$1"
  [ "$1" = buildkit ] || return 0
  rm -rf /var/lib/buildkit-rootless
  used root | while read -r root; do remove_cache_in "$root"; done
  say "$BOARD: the build cache is removed"
}

# remove_cache_in ROOT: what buildkitd keeps there is gone, and the folder, where nothing else is in it.
remove_cache_in() {
  case $1 in /var/lib/buildkit | /var/lib/buildkit-rootless) return 0 ;; *) ;; esac
  [ -e "$1/buildkitd.lock" ] || return 0
  rm -rf "$1"/buildkitd.lock "$1"/*.db "$1"/*.db.bak "$1"/runc-* "$1"/containerd-* "$1"/net "$1"/cni
  rmdir "$1" 2>/dev/null || say "$BOARD: in $1,$(find "$1" -mindepth 1 -maxdepth 1 -printf ' %f') stayed: it is not buildkitd's"
}

# The network bridges that buildkitd made for RUN steps outlive it.
remove_bridges() {
  for bridge in buildkit0 $(used bridge); do
    [ ! -e "/sys/class/net/$bridge" ] || ip link delete "$bridge" ||
      say "$BOARD: the network bridge $bridge stays: ip link delete $bridge"
  done
}

# Only a user that was made here; userdel takes its lines in /etc/subuid and /etc/subgid along.
remove_rootless_user() {
  used ids | while read -r file line; do sed -i "/^$line\$/d" "$file"; done
  [ -e "$HOME_DIR/made-user" ] || return 0
  userdel buildkit 2>/dev/null
  return 0
}
