#!/bin/sh
# boardctl: what buildhosts runs on a board. It is put there by `preflight`, and may be run by hand:
#   boardctl status
# Each command can be killed anywhere and run again; none does work that is already done.
#
# Everything lives below $HOME_DIR, and the rest of the board points into it:
#   store/        verified releases, configurations and certificates, one folder each, never changed
#   generations/  one folder of links into the store for each combination that was put to use
#   current       link to the generation in use; renaming this one link is the switch
#   good          link to the generation that last passed its health check: where a failure returns to
#   pending       exists from just before a switch until its health check has passed
#   replaced      parts of the generation in use that were damaged and are whole again: their services are to be restarted
#   kept/         link to the last release of each component that worked and is not the one in use
#   used          roots and bridges of every configuration that ran
#   displaced/    files of an earlier installation that ours took the place of; put back on removal
#   name          whose this is, PROJECT/STACK/BOARD: only that stack changes or removes it
set -u
umask 022
export LC_ALL=C
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

HOME_DIR=/usr/local/lib/buildhosts
UNIT_DIR=/usr/local/lib/systemd/system
ETC_DIR=/etc/buildkit
# Root's alone, and gone at each boot: the lock, and which releases were found whole since then.
RUN_DIR=/run/buildhosts
LOCK_FILE=$RUN_DIR/lock
CLOCK_TOLERANCE=60

# The other end of standard error may be gone (a dropped connection); work goes on without a reader.
say() { printf '%s\n' "$*" >&2 || :; }
# Where many things are done at once, `reasons` is a file that tells the one who waits for them.
reasons=''
fail() {
  say "$BOARD: $*"
  [ -z "$reasons" ] || printf '%s\n' "$*" >>"$reasons"
  exit 1
}

# PROJECT/STACK/BOARD, or the board's name alone, as earlier versions wrote it, or nothing.
owner() { cat "$HOME_DIR/name" 2>/dev/null; }

BOARD=$(owner)
BOARD=${BOARD##*/}
[ -n "$BOARD" ] || BOARD=$(uname -n)

# For an error that a write ended with.
disk_full() {
  left_inodes=$(inodes "$HOME_DIR/spool")
  left_inodes=${left_inodes#* }
  [ "${left_inodes:-1000}" -lt 1000 ] && left_inodes=" and $left_inodes inodes" || left_inodes=''
  printf 'is the disk full? (%s MB%s free)' "$(($(free_kb "$HOME_DIR/spool") * 1024 / 1000000))" "$left_inodes"
}

# A name for a temporary file or folder on the same file system as its target, so that a rename is atomic.
fresh() { mktemp -d "$HOME_DIR/spool/$1.XXXXXX" || fail "$HOME_DIR/spool: cannot make a temporary folder: $(disk_full)"; }

# link TARGET PATH: make PATH a symbolic link to TARGET, in one step that is seen whole or not at all.
link() {
  [ "$(readlink "$2" 2>/dev/null)" = "$1" ] && return 0
  ln -sfn "$1" "$2.buildhosts-new" && mv -Tf "$2.buildhosts-new" "$2"
}

own_folder() { (umask 077 && mkdir -p "$RUN_DIR"); }

# place_in_store FOLDER ITEM: the item of the store is FOLDER. A damaged one of that name, which may be in use, is
# away for a moment only.
place_in_store() {
  if [ -e "$2" ]; then
    for part in "$HOME_DIR/current"/*; do
      [ "$(readlink "$part")" != "$2" ] || printf '%s\n' "${part##*/}" >>"$HOME_DIR/replaced"
    done
    mv -T "$2" "$(fresh replaced)" || return 1
  fi
  mv -T "$1" "$2"
}

# sums FOLDER: what a release of the store consists of. A CRC is enough, and read at the disk's speed: the archive was
# verified by its sha256, and these files are looked through for damage.
sums() { (cd "$1" && cksum bin/*) 2>/dev/null; }

# When each file of a release was last changed, by whomever: one process, however large they are.
changes() { (cd "$1" && stat -c '%n %s %i %z' bin/* sums) 2>/dev/null; }

# was_sound FOLDER: was the release there found sound, and not changed since, in this boot?
was_sound() { [ -e "$RUN_DIR/${1##*/}" ] && [ "$(changes "$1")" = "$(cat "$RUN_DIR/${1##*/}")" ]; }

# id_of_certificates FOLDER: by which the server's files there are told from others.
id_of_certificates() { (cd "$1" 2>/dev/null && cat ca.pem cert.pem key.pem validity 2>/dev/null) | sha256sum | cut -c 1-12; }

# sound FOLDER: is the release there whole, and does it run? `damage` says what is wrong. What was found sound is looked at
# again only after a change, and after each boot: a disk that lost its power keeps less than was written.
sound() {
  if [ -e "$1/sums" ] && was_sound "$1"; then return 0; fi
  damage=''
  if [ -e "$1/sums" ]; then
    [ "$(sums "$1")" = "$(cat "$1/sums")" ] || damage='its files are not what was unpacked'
  else
    # Of a version that kept no sums. What is there and runs counts as whole.
    for file in "$1"/bin/*; do [ -s "$file" ] || damage="${file##*/} is empty"; done
  fi
  [ -n "$damage" ] || starts "$1" || :
  [ -z "$damage" ] || return 1
  [ -e "$1/sums" ] || { sums "$1" >"$1/sums.new" && mv -f "$1/sums.new" "$1/sums"; }
  changes "$1" >"$RUN_DIR/${1##*/}" || :
}

# starts FOLDER: does each program of the release that boardctl or systemd starts run here?
starts() {
  for program in containerd runc buildkitd buildctl rootlesskit; do
    [ -e "$1/bin/$program" ] || continue
    # A file that is empty ends well, too, and says nothing.
    if ! answer=$(timeout 60 "$1/bin/$program" --version 2>&1) || [ -z "$answer" ]; then
      damage="$program does not run on this machine: $(printf '%s' "${answer:-it says nothing}" | head -n 1 | cut -c 1-200)"
      return 1
    fi
  done
}

# remember KIND NAME: something outside of $HOME_DIR that a daemon of ours has made, for `uninstall` to know: `root`,
# where its cache is, or `bridge`, its interface. What was used before is remembered too.
remember() {
  [ ! -e "$HOME_DIR/used" ] || while read -r known; do [ "$known" != "$*" ] || return 0; done <"$HOME_DIR/used"
  printf '%s\n' "$*" >>"$HOME_DIR/used"
}
used() { # used KIND: the names
  [ ! -e "$HOME_DIR/used" ] || while read -r kind known; do [ "$kind" != "$1" ] || printf '%s\n' "$known"; done <"$HOME_DIR/used"
}

# place_file SOURCE TARGET MODE: TARGET has the content of SOURCE. True when it had to be written.
place_file() {
  if [ -f "$2" ] && cmp -s "$1" "$2"; then return 1; fi
  new=$2.buildhosts-new
  if cat "$1" >"$new" && chmod "$3" "$new" && mv -f "$new" "$2"; then return 0; fi
  rm -f "$new"
  fail "cannot write $2: is the disk full or read-only?"
}

utc() { date -u -d "@$1" '+%Y-%m-%d %H:%M:%S UTC' 2>/dev/null || printf '@%s' "$1"; }

unit_active() { systemctl is-active --quiet "$1" 2>/dev/null; }

# The sections of standard input, as `==> NAME <==` lines divide it, become files in folder $1.
# The last line must be `==> end <==`: without it the input was cut off.
unbundle() {
  awk -v dir="$1" '
    $0 == "==> end <==" { whole = 1; exit }
    /^==> [A-Za-z0-9._-]+ <==$/ { file = dir "/" $2; printf "" > file; next }
    file { print > file }
    END { exit !whole }'
}

# A certificate's validity, written beside it as two numbers (seconds since 1970): first, last.
# Stops when the clock stands outside: every handshake would be refused.
require_clock_within() {
  now=$(date +%s)
  # A clock that is slow by less than this is waited for; new certificates begin when they are made.
  if [ "$now" -lt "$1" ] && [ $(($1 - now)) -le "$CLOCK_TOLERANCE" ]; then
    sleep $(($1 - now))
    now=$(date +%s)
  fi
  if [ "$now" -lt "$1" ]; then
    fail "the clock says $(utc "$now"), but the certificates are valid only from $(utc "$1"): set the clock (timedatectl set-ntp true, or date -s), then run the update again"
  fi
  if [ "$now" -gt "$2" ]; then
    fail "the clock says $(utc "$now"), but the certificates ended at $(utc "$2"): set the clock if it is wrong; otherwise run the update on time, so that they are renewed"
  fi
}
