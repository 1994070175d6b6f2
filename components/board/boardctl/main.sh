# shellcheck shell=sh
status() {
  say "board: $BOARD"
  case $(owner) in */*) of=$(owner); say "stack: ${of%/*}" ;; *) ;; esac
  say "in use: $(readlink "$HOME_DIR/current" 2>/dev/null || echo nothing)"
  for part in "$HOME_DIR/current"/*; do
    [ ! -L "$part" ] || say "  ${part##*/}: $(basename "$(readlink "$part")")"
  done
  for unit in containerd.service buildkitd.service; do say "$unit: $(systemctl is-active "$unit")"; done
}

# How long a command waits for the end of another one, in seconds: a download over a slow line takes that long.
LOCK_WAIT=1800

# bound COMMAND [OPTION …]: how long it may take, its wait for another one included, in seconds; after that it is
# ended, and the update can be run again. The engine gives up 5 minutes later, after an hour and the time for builds.
bound() {
  case $1 in
    preflight) seconds=$((LOCK_WAIT + 300)) ;;
    *) seconds=3300 ;;
  esac
  while [ $# -gt 0 ]; do
    if [ "$1" = --drain-seconds ]; then seconds=$((seconds + $2)); fi
    shift
  done
}

# Whether this process holds the lock that others will ask for: a removal that ran before took the file along.
holds_lock() {
  # shellcheck disable=SC3013 # dash and busybox know it
  for descriptor in /proc/self/fd/*; do
    [ ! "$descriptor" -ef "$LOCK_FILE" ] || return 0
  done
  return 1
}

# theirs OWNER WHAT: does what is installed here belong to another board or stack than OWNER? Then nothing is done to it,
# and that is no failure: the other one's state knows of it. A command without an owner is of an earlier version, which could
# not know.
theirs() {
  found=$(owner)
  instead=${1:+, not to $1}
  case $found in '' | "$1" | "${1##*/}") return 1 ;; */*) ;; *) [ -n "$1" ] || return 1 ;; esac
  say "$BOARD: this installation belongs to $found$instead, so it stays. To remove it by hand: boardctl uninstall --owner $found"
}

main() {
  command=${1-}
  [ $# -eq 0 ] || shift
  case $command in
    preflight | install | stage-config | activate | deactivate | uninstall | withdraw) ;;
    status) status; exit 0 ;;
    *) say "usage: boardctl preflight|install|stage-config|activate|deactivate|uninstall|withdraw|status"; exit 2 ;;
  esac
  if [ "$(id -u)" != 0 ]; then
    # Without sudo the preflight still lists what is wrong, that included; nothing else can go on.
    if [ "$command" = preflight ] && ! sudo -n true 2>/dev/null; then preflight "$@"; exit 1; fi
    # sudo takes away by whom the connection was made, which the bridge must not hide.
    if [ "$command" = preflight ]; then peer=${SSH_CONNECTION-}; set -- "$@" --peer "${peer%% *}"; fi
    exec sudo -n sh "$0" "$command" "$@"
  fi
  if [ "$command" = preflight ]; then
    BOARD=${2-$BOARD}
    # What one command at a time and an end to each are made of; without it, preflight says what is missing.
    if ! { command -v timeout && command -v flock && own_folder; } >/dev/null 2>&1; then preflight "$@"; fi
  fi
  own_folder || fail "$RUN_DIR: cannot make the folder of the lock; is /run mounted read-only?"
  if [ -z "${BUILDHOSTS_LOCKED-}" ]; then
    # One command at a time on a board, whoever starts it, and an end to each.
    export BUILDHOSTS_LOCKED=1
    trap '' HUP PIPE
    bound "$command" "$@"
    timeout --kill-after=10 "$seconds" flock --wait "$LOCK_WAIT" --conflict-exit-code 75 "$LOCK_FILE" sh "$0" "$command" "$@"
    code=$?
    case $code in
      75) fail "$command: another boardctl has been at work here for $LOCK_WAIT s; wait for its end (pgrep -af boardctl), then run the update again" ;;
      124 | 137) fail "$command took longer than $seconds s and was ended; run the update again, it goes on from there" ;;
      *) exit "$code" ;;
    esac
  fi
  if ! holds_lock; then
    unset BUILDHOSTS_LOCKED
    exec sh "$0" "$command" "$@"
  fi
  # The connection may drop; half an activation is worse than one that nobody watches.
  trap '' HUP PIPE
  # dash runs no EXIT trap when a signal ends it; and what that trap starts must not be ended by a second signal.
  trap 'trap "" TERM INT; exit 143' TERM
  trap 'trap "" TERM INT; exit 130' INT
  # What a command that was killed left, a client's key among it; there is no other one that could need it.
  for left in "$HOME_DIR/spool"/* /run/buildhosts-health.* "$RUN_DIR"/reasons.*; do [ ! -e "$left" ] || rm -rf "$left"; done
  case $command in
    preflight) preflight "$@"; place_boardctl ;;
    install) install_releases "$@" ;;
    stage-config) stage_config "$@" ;;
    activate) activate "$@" ;;
    *)
      of=''
      if [ "${1-}" = --owner ] && [ $# -ge 2 ]; then of=$2; shift 2; fi
      theirs "$of" || "$command" "$@" ;;
  esac
}

main "$@"
