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
  remove_bridge
  remove_rootless_user
  rm -rf /run/buildkit /run/containerd
  # containerd makes these folders; where they are not empty, somebody else uses them too.
  rmdir /opt/containerd/bin /opt/containerd/lib /opt/containerd /etc/cni/net.d /etc/cni 2>/dev/null
  if [ "${1-}" = --remove-cache ]; then
    rm -rf /var/lib/buildkit /var/lib/buildkit-rootless /var/lib/containerd
    say "$BOARD: the build cache is removed"
  fi
  rm -rf "$HOME_DIR"
  say "$BOARD: buildhosts is removed"
}

# The network bridge that buildkitd made for RUN steps outlives it.
remove_bridge() {
  command -v ip >/dev/null 2>&1 || return 0
  ip link show buildkit0 >/dev/null 2>&1 && ip link delete buildkit0
  return 0
}

# Only a user that was made here; userdel takes its lines in /etc/subuid and /etc/subgid along.
remove_rootless_user() {
  [ -e "$HOME_DIR/made-user" ] || return 0
  userdel buildkit 2>/dev/null
  return 0
}
