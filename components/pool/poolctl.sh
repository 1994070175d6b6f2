#!/bin/sh
# poolctl: what buildhosts runs on the machine of a pool. Its first step brings it, and puts it beside the pools:
#   poolctl stage POOL OWNER ID      HAProxy is there, and so is haproxy.cfg from standard input, whose id is ID
#   poolctl activate POOL OWNER ID METRICS
#                                    it is in use, with the certificates from standard input; METRICS is host:port
#   poolctl remove POOL OWNER        nothing of the pool is left; the package stays
# Each can be killed anywhere and run again, and restarts nothing that is as it should be.
#
# A pool has a folder below $POOLS:
#   owner         PROJECT/STACK/POOL: only that stack changes or removes it
#   staged/       haproxy.cfg by its id
#   generations/  one folder with haproxy.cfg and certificates for each combination that was put to use
#   current       link to the one in use; renaming it is the switch
set -u
umask 022
export LC_ALL=C
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

POOLS=/usr/local/lib/buildhosts-pools
UNIT_FILE=/usr/local/lib/systemd/system/buildhosts-pool@.service
HAPROXY=/usr/sbin/haproxy
LOCK=/run/buildhosts-pools.lock
# The oldest that hashes what a client asks for, and checks over HTTP/2 as it is asked to.
OLDEST=2.6

# The other end of standard error may be gone; work goes on without a reader.
say() { printf '%s\n' "$POOL: $*" >&2 || :; }
fail() {
  say "$*"
  exit 1
}

require_owner() { # require_owner OWNER
  found=$(cat "$HOME_DIR/owner" 2>/dev/null) || return 0
  [ "$found" = "$1" ] || fail "the pool of that name on this machine belongs to $found, not to $1: choose another name, or remove that one"
}

# HAProxy of the distribution, with which nothing else runs afterwards than before.
ensure_haproxy() {
  if [ ! -x "$HAPROXY" ]; then
    command -v apt-get >/dev/null 2>&1 ||
      fail "there is no $HAPROXY, and no apt-get to install it with: install HAProxy $OLDEST or newer, then run the update again"
    say "installing the package haproxy"
    export DEBIAN_FRONTEND=noninteractive
    apt="apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2 --yes"
    said=$($apt update 2>&1 && $apt install --no-install-recommends haproxy 2>&1) || :
    [ -x "$HAPROXY" ] ||
      fail "the package haproxy cannot be installed: $(printf '%s\n' "$said" | grep -E '^[EW]: ' | tail -n 1 | cut -c 1-300); see to this machine's archives (apt-get update), or install HAProxy $OLDEST or newer by hand, then run the update again"
    # The package's own service listens nowhere, and is not ours to run.
    systemctl disable --now --quiet haproxy.service 2>/dev/null
  fi
  version=$("$HAPROXY" -v | sed -n 's/^HA-\{0,1\}Proxy version \([0-9]*\.[0-9]*\).*/\1/p')
  [ "$(printf '%s\n' "$OLDEST" "${version:-0}" | sort -V | head -n 1)" = "$OLDEST" ] ||
    fail "$HAPROXY is of version ${version:-unknown}; a pool needs $OLDEST or newer: Debian has it from 12 on, Ubuntu from 24.04 on"
}

stage() { # stage OWNER ID
  [ -d /run/systemd/system ] || fail "this machine does not run systemd, under which HAProxy would run"
  ensure_haproxy
  mkdir -p "$HOME_DIR/staged" "$HOME_DIR/generations"
  printf '%s\n' "$1" >"$HOME_DIR/owner"
  new=$(mktemp "$HOME_DIR/new.XXXXXX") || fail "$HOME_DIR: cannot be written: is the disk full or read-only?"
  cat >"$new"
  [ "$(sha256sum <"$new" | cut -c 1-12)" = "$2" ] || fail "haproxy.cfg was cut off on its way; nothing was changed"
  chmod 644 "$new"
  rm -rf "$HOME_DIR/staged"/*
  mv "$new" "$HOME_DIR/staged/$2"
  # For the steps that come: this one came with the connection.
  cp "$0" "$POOLS/poolctl.new" && chmod 755 "$POOLS/poolctl.new" && mv "$POOLS/poolctl.new" "$POOLS/poolctl"
  say "HAProxy $version is there; haproxy.cfg $2 is staged"
}

# The sections of standard input, as `==> NAME <==` lines divide it, become files in folder $1.
unbundle() {
  awk -v dir="$1" '
    $0 == "==> end <==" { whole = 1; exit }
    /^==> [A-Za-z0-9@._-]+ <==$/ { file = dir "/" $2; printf "" > file; next }
    file { print > file }
    END { exit !whole }'
}

status() { systemctl show --property StatusText --value "$UNIT"; }
# The processes of the unit, the master among them, which stays the same.
processes() {
  group=$(systemctl show --property ControlGroup --value "$UNIT")
  cat "/sys/fs/cgroup$group/cgroup.procs" 2>/dev/null || cat "/sys/fs/cgroup/systemd$group/cgroup.procs"
}

# eventually SECONDS COMMAND …: until it is true.
eventually() {
  tries=$(($1 * 5))
  shift
  while ! "$@"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.2
  done
}

# Whether the master has said how it went: a new worker is ready, or there is none.
is_reloaded() {
  case $(status) in
    *failed*) return 0 ;;
    Ready*) for one in $(processes); do case " $known " in *" $one "*) ;; *) return 0 ;; esac; done ;;
  esac
  return 1
}

reload() {
  known=$(processes | tr '\n' ' ')
  systemctl reload "$UNIT" || return 1
  eventually 30 is_reloaded || return 1
  case $(status) in *failed*) return 1 ;; *) ;; esac
}

switch_to() { ln -sfn "$1" "$HOME_DIR/current.new" && mv -Tf "$HOME_DIR/current.new" "$HOME_DIR/current"; }

# What HAProxy complains of in its own log, since it was told.
complaint() {
  journalctl -u "$UNIT" --since "@$began" --no-pager -o cat 2>/dev/null | sed -n 's/^\[ALERT\] *([0-9]*) : *//p' | head -n 1 | cut -c 1-300
}

activate() { # activate ID METRICS, certificates and the unit on standard input
  work=$(umask 077 && mktemp -d "$HOME_DIR/new.XXXXXX") || fail "$HOME_DIR: cannot be written: is the disk full or read-only?"
  (umask 077 && unbundle "$work") || fail "the certificates were cut off on their way; nothing was changed"
  [ -f "$HOME_DIR/staged/$1" ] || fail "haproxy.cfg $1 is not on the machine any more, though the stack says so (was it reset?): make its steps run again with pulumi up --replace '**:remote:*::$POOL-*'"
  cp "$HOME_DIR/staged/$1" "$work/haproxy.cfg"
  generation=$HOME_DIR/generations/$(cat "$work"/* | sha256sum | cut -c 1-12)
  if [ -d "$generation" ]; then rm -rf "$work"; else mv -T "$work" "$generation"; fi
  said=$(POOL_FILES=$generation "$HAPROXY" -c -q -f "$generation/haproxy.cfg" 2>&1) ||
    fail "HAProxy refuses its configuration, and nothing was changed: $(printf '%s\n' "$said" | sed -n 's/^\[ALERT\] *([0-9]*) : *//p' | head -n 1)"
  if ! cmp -s "$generation/unit" "$UNIT_FILE"; then
    mkdir -p "${UNIT_FILE%/*}"
    cp "$generation/unit" "$UNIT_FILE.new" && chmod 644 "$UNIT_FILE.new" && mv "$UNIT_FILE.new" "$UNIT_FILE"
    systemctl daemon-reload
  fi
  before=$(readlink "$HOME_DIR/current" 2>/dev/null)
  began=$(date +%s)
  is_up=false
  systemctl is-active --quiet "$UNIT" && is_up=true
  switch_to "$generation"
  systemctl enable --quiet "$UNIT"
  case $is_up:$before in
    "true:$generation") ;;
    true:*) reload || go_back ;;
    *) systemctl restart "$UNIT" || go_back ;;
  esac
  for old in "$HOME_DIR/generations"/*; do [ "$old" = "$generation" ] || rm -rf "$old"; done
  tell_builders "$2"
}

go_back() {
  reason=$(complaint)
  if [ -n "$before" ] && [ -d "$before" ]; then
    switch_to "$before"
    if [ "$is_up" = true ]; then reload; else systemctl restart "$UNIT"; fi
    fail "HAProxy does not start with its new configuration, and runs with the one before: ${reason:-see journalctl -u $UNIT}"
  fi
  systemctl disable --now --quiet "$UNIT"
  fail "HAProxy does not start: ${reason:-see journalctl -u $UNIT}"
}

page() {
  if command -v curl >/dev/null 2>&1; then
    curl -s --noproxy '*' --max-time 5 "http://$1/;csv"
  else
    http_proxy='' wget -q -T 5 -O - "http://$1/;csv"
  fi
}

# Lines NAME STATUS CHECK REASON of the builders; no CHECK before the first.
builders() {
  page "$1" | awk -F , '
    NR == 1 { for (i = 1; i <= NF; i++) { sub(/^# */, "", $i); at[$i] = i }; next }
    $at["pxname"] == "builders" && $at["svname"] != "BACKEND" {
      print $at["svname"], $at["status"], $at["check_status"], $at["last_chk"] }'
}
are_checked() {
  seen=$(builders "$1")
  [ -n "$seen" ] && ! printf '%s\n' "$seen" | awk '$3 == "" || $3 == "INI" || $3 ~ /^\*/ || $2 == "UP" && $3 !~ /OK/ { found = 1 } END { exit !found }'
}

# A builder that the pool does not reach is no failure of the pool; it is told.
tell_builders() { # tell_builders METRICS
  eventually 15 are_checked "$1" || :
  [ -n "$seen" ] || { say "warning: HAProxy runs, but http://$1/ does not tell about its builders"; return 0; }
  printf '%s\n' "$seen" | while read -r name state check reason; do
    [ -z "$name" ] || [ "$state" = UP ] || say "warning: $name is $state for this pool: $check ${reason:-}; is there a firewall between them, or does its endpoint lead elsewhere from here?"
  done
  say "HAProxy serves $(printf '%s\n' "$seen" | grep -c ' UP ') of $(printf '%s\n' "$seen" | grep -c .) builders"
}

remove() { # remove OWNER
  case $(cat "$HOME_DIR/owner" 2>/dev/null) in
    '' | "$1") ;;
    *) say "this pool belongs to $(cat "$HOME_DIR/owner"), not to $1, so it stays"; return 0 ;;
  esac
  systemctl disable --now --quiet "$UNIT" 2>/dev/null
  rm -rf "$HOME_DIR"
  for other in "$POOLS"/*/owner; do [ ! -e "$other" ] || return 0; done
  rm -rf "$POOLS" "$UNIT_FILE"
  systemctl daemon-reload
  say "removed; the package haproxy stays"
}

command=${1-}
POOL=${2-poolctl}
HOME_DIR=$POOLS/$POOL
UNIT=buildhosts-pool@$POOL.service
case $command in
  stage | activate | remove) ;;
  *) fail "usage: poolctl stage|activate|remove POOL OWNER …" ;;
esac
if [ "$(id -u)" != 0 ]; then
  sudo -n true 2>/dev/null || fail "the user $(id -un) is not root and has no passwordless sudo: choose another user, or give it that"
  exec sudo -n sh "$0" "$@"
fi
if [ -z "${POOLCTL_LOCKED-}" ]; then
  # One at a time, and an end to each.
  POOLCTL_LOCKED=1 timeout --kill-after=10 1500 flock --wait 600 --conflict-exit-code 75 "$LOCK" sh "$0" "$@"
  code=$?
  case $code in
    75) fail "another poolctl has been at work here for 600 s; wait for its end, then run the update again" ;;
    124 | 137) fail "$command took longer than 1500 s and was ended; run the update again" ;;
    *) exit "$code" ;;
  esac
fi
# The connection may drop; half a switch is worse than one that nobody watches.
trap '' HUP PIPE
[ "$command" = remove ] || require_owner "$3"
for left in "$HOME_DIR"/new.*; do [ ! -e "$left" ] || rm -rf "$left"; done
case $command in
  stage) stage "$3" "$4" ;;
  activate) activate "$4" "$5" ;;
  remove) remove "$3" ;;
esac
