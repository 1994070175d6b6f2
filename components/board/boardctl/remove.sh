# shellcheck shell=sh
# deactivate: no unit, no binary and no file of ours is in use. uninstall: nothing of ours is left. withdraw: the same,
# where nothing was ever put to use.

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
  rm -f "$HOME_DIR/units" "$HOME_DIR/current" "$HOME_DIR/good" "$HOME_DIR/previous" "$HOME_DIR/pending" "$HOME_DIR/replaced"
  if [ -d "$HOME_DIR/displaced" ]; then
    while read -r path; do
      path=${path#.}
      [ -n "$path" ] || continue
      if ! { mkdir -p "${path%/*}" && mv -fT "$HOME_DIR/displaced$path" "$path"; }; then
        fail "$path of the earlier installation cannot be put back from $HOME_DIR/displaced: $(disk_full); run the update again"
      fi
      say "$BOARD: $path of the earlier installation is back"
    done <<END
$(cd "$HOME_DIR/displaced" && find . ! -type d)
END
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

withdraw() {
  [ -L "$HOME_DIR/current" ] || [ -e "$HOME_DIR/units" ] || uninstall ''
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
  # Who waits for the lock sees that its file is gone, and asks for the next one.
  rm -rf "$RUN_DIR" /run/lock/buildhosts.lock
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
  remove_folder "/var/lib/$1"
  [ "$1" = buildkit ] || return 0
  remove_folder /var/lib/buildkit-rootless
  while read -r root; do [ -z "$root" ] || remove_folder "$root"; done <<END
$(used root)
END
  say "$BOARD: the build cache is removed"
}

# remove_folder FOLDER: what our daemons keep there is gone. A link is followed and stays, as does the folder that it leads
# to, and a disk that is mounted there.
remove_folder() {
  [ -e "$1" ] || [ -L "$1" ] || return 0
  if [ -L "$1" ]; then
    remove_data_in "$(readlink -f "$1")"
    say "$BOARD: $1 is a link, which stays; the data in $(readlink -f "$1") is removed"
    return 0
  fi
  case $1 in
    /var/lib/buildkit | /var/lib/buildkit-rootless | /var/lib/containerd)
      if [ "$(stat -c %d "$1")" = "$(stat -c %d "${1%/*}")" ]; then
        rm -rf "$1"
        return 0
      fi ;;
    *) ;;
  esac
  remove_data_in "$1"
  rmdir "$1" 2>/dev/null || [ -z "$(ls -A "$1")" ] || say "$BOARD: in $1,$(find "$1" -mindepth 1 -maxdepth 1 -printf ' %f') stayed: it is not buildkitd's"
}

# remove_data_in FOLDER: what buildkitd or containerd makes in its root, and nothing else.
remove_data_in() {
  # The lock goes with a daemon that ends well.
  if [ -e "$1/buildkitd.lock" ] || [ -e "$1/cache.db" ]; then
    rm -rf "$1"/buildkitd.lock "$1"/*.db "$1"/*.db.bak "$1"/runc-* "$1"/containerd-* "$1"/net "$1"/cni
  elif [ -e "$1/io.containerd.metadata.v1.bolt" ]; then
    rm -rf "$1"/io.containerd.* "$1"/tmpmounts
  fi
}

# The network bridges that buildkitd made for RUN steps outlive it, and so does what CNI's plugins wrote down for them.
remove_bridges() {
  for bridge in buildkit0 $(used bridge); do
    [ -e "/sys/class/net/$bridge" ] || continue
    remove_rules "$bridge"
    ip link delete "$bridge" || say "$BOARD: the network bridge $bridge stays: ip link delete $bridge"
  done
  rm -rf /var/lib/cni/networks/buildkit
  rm -f /var/lib/cni/results/buildkit-*
  if used folder | grep -qx /var/lib/cni; then
    rmdir /var/lib/cni/networks /var/lib/cni/results /var/lib/cni 2>/dev/null
    # Nobody else used CNI's plugins here, so nobody else has rules in their chains.
    [ -e /var/lib/cni ] || remove_chains
  fi
}

# remove_chains: those of CNI's firewall plugin, and what leads to them.
remove_chains() {
  command -v iptables-save >/dev/null 2>&1 || return 0
  saved=$(iptables-save 2>/dev/null)
  case $saved in *:CNI-FORWARD*) ;; *) return 0 ;; esac
  printf '%s\n' "$saved" | sed -n 's/^-A \(FORWARD .*-j CNI-[A-Z0-9-]*\)$/-t filter -D \1/p' |
    while read -r rule; do printf '%s\n' "$rule" | xargs iptables -w 2>/dev/null; done
  for step in -F -X; do
    for chain in CNI-ISOLATION-STAGE-1 CNI-ISOLATION-STAGE-2 CNI-FORWARD CNI-ADMIN; do
      case $saved in *":$chain "*) iptables -w "$step" "$chain" 2>/dev/null ;; *) ;; esac
    done
  done
}

# remove_rules BRIDGE: the rules of iptables that name the interface, in whichever table.
remove_rules() {
  command -v iptables-save >/dev/null 2>&1 || return 0
  iptables-save 2>/dev/null | awk -v bridge="$1" '
    /^\*/ { table = substr($1, 2) }
    /^-A / { for (i = 3; i < NF; i++) if (($i == "-i" || $i == "-o") && $(i + 1) == bridge) { sub(/^-A/, "-D"); print "-t " table " " $0; next } }' |
    while read -r rule; do printf '%s\n' "$rule" | xargs iptables -w 2>/dev/null || say "$BOARD: a rule of iptables stays: $rule"; done
}

# Only a user that was made here; userdel takes its lines in /etc/subuid and /etc/subgid along.
remove_rootless_user() {
  used ids | while read -r file line; do sed -i "/^$line\$/d" "$file"; done
  [ -e "$HOME_DIR/made-user" ] || return 0
  userdel buildkit 2>/dev/null
  return 0
}
