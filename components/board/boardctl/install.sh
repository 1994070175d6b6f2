# shellcheck shell=sh
# install: the named releases are in the store, verified against their checksums. What runs is not touched.

# fetch URL FILE: download with an end in every case: refused, unknown, stalled, cut short. What begins with https stays
# with it: a redirect elsewhere would leave the checksum, too, to whoever is in between.
fetch() {
  case $1 in
    file://*) cp "${1#file://}" "$2" 2>/dev/null && return 0
      fetch_error="${1#file://} is not on the board: it is pushed over SSH before the installation; run the update again"
      return 1 ;;
  esac
  if command -v curl >/dev/null 2>&1; then
    protocols=http,https
    case $1 in https://*) protocols=https ;; *) ;; esac
    status=$(curl --silent --show-error --fail --location --connect-timeout 15 --speed-limit 1000 --speed-time 15 \
      --max-time 1500 --retry 1 --proto "=$protocols" --proto-redir "=$protocols" \
      --output "$2" --write-out '%{http_code}' "$1" 2>"$2.error")
    code=$?
    detail=$(tail -n 1 "$2.error" 2>/dev/null)
    rm -f "$2.error"
    case $code/$detail in
      0/*) return 0 ;;
      22/*) case $status in
          404) fetch_error="$1 does not exist (404): no such version, or it has no build for this platform; check releases in the stack" ;;
          *) fetch_error="$1 answered with status $status: check the mirror, then run the update again" ;;
        esac ;;
      18/*) fetch_error="$1 was cut short: the server ended the connection before the file was whole" ;;
      28/*) fetch_error="$1 stalled: no progress for 15 s, or no connection; check the mirror and the network" ;;
      23/*) fetch_error="cannot write the download of $1: $(disk_full)" ;;
      1/*rotocol*) fetch_error=$(leaves_https "$1" "$protocols") ;;
      *) fetch_error="$1 cannot be fetched: ${detail:-curl ended with $code}" ;;
    esac
  else
    fetch_error="$1 cannot be fetched (wget): unknown version, or the server or network does not answer; install curl for a closer reason"
    wget_following "$1" "$2" && return 0
  fi
  rm -f "$2"
  return 1
}

leaves_https() {
  case $2 in
    https) printf '%s' "$1 redirects to an address without https, which is refused: name a mirror that stays with https" ;;
    *) printf '%s' "$1 redirects to an address that is neither http nor https, which is refused: check the mirror" ;;
  esac
}

# wget follows a redirect from https to http, and knows no way to forbid it: so it follows none, and this does.
wget_following() {
  case $1 in
    https://*) wget --help 2>&1 | grep -q -e --max-redirect || {
        fetch_error="$1 cannot be fetched: this wget follows redirects away from https; install curl"
        return 1
      } ;;
    *) wget -q -T 20 -t 2 -O "$2" "$1"; return ;;
  esac
  wget_at=$1 wget_hops=0
  while [ "$wget_hops" -lt 10 ]; do
    wget_said=$(wget -q -S -T 20 -t 2 --max-redirect=0 -O "$2" "$wget_at" 2>&1) && return 0
    wget_next=$(printf '%s\n' "$wget_said" | tr -d '\r' | sed -n 's/^ *[Ll]ocation: *\([^ ]*\).*/\1/p' | tail -n 1)
    case $wget_next in
      https://*) wget_at=$wget_next ;;
      /*) wget_at=$(printf '%s' "$wget_at" | sed 's,^\(https://[^/]*\).*,\1,')$wget_next ;;
      *://*) fetch_error=$(leaves_https "$1" https); return 1 ;;
      *) return 1 ;;
    esac
    wget_hops=$((wget_hops + 1))
  done
  return 1
}

# The sha256 that a published file FILE gives for ASSET: a sha256sum list (signed or not), or the
# subjects of an in-toto statement, as BuildKit publishes them.
published_sha256() {
  found=$(tr -d '\r' <"$1" | awk -v asset="$2" '
    $1 ~ /^[0-9a-f]+$/ && length($1) == 64 { name = $2; sub(/^\*/, "", name); sub(/^.*\//, "", name); if (name == asset) { print $1; exit } }')
  if [ -z "$found" ]; then
    found=$(tr -d ' \t\r\n' <"$1" | tr '}' '\n' | grep -F "\"name\":\"$2\"" |
      sed -n 's/.*"sha256":"\([0-9a-f]\{64\}\)".*/\1/p' | head -n 1)
  fi
  printf '%s' "$found"
}

# find_release COMPONENT VERSION [SHA256]: the store's folder of that release, or nothing. Its name ends with 12 digits of
# the sha256 and nothing else: v1.0-rc1 is not v1.0.
find_release() {
  for dir in "$HOME_DIR/store/$1-$2-"????????????; do
    [ -f "$dir/sha256" ] || continue
    found=$(cat "$dir/sha256")
    [ "${dir##*/}" = "$1-$2-$(printf '%.12s' "$found")" ] || continue
    if [ -z "${3-}" ] || [ "$found" = "$3" ]; then
      printf '%s' "$dir"
      return 0
    fi
  done
  return 1
}

# install_release COMPONENT VERSION URL CHECKSUM; CHECKSUM is sha256:HEX, or the URL of the published file.
install_release() {
  component=$1 version=$2 url=$3 checksum=$4
  asset=${url##*/}
  expected='' from=$checksum
  case $checksum in sha256:*) expected=${checksum#sha256:} from='the stack' ;; *) ;; esac
  if dir=$(find_release "$component" "$version" "$expected"); then
    if sound "$dir"; then
      say "$BOARD: $component $version is there"
      drop_pushed "$url"
      return 0
    fi
    say "$BOARD: $component $version is damaged on this board: $damage; it is fetched again"
  fi
  work=$(fresh "$component") || exit 1
  trap 'rm -rf "$work"' EXIT
  if [ -z "$expected" ]; then
    fetch "$checksum" "$work/published" || fail "$component $version: its checksum: $fetch_error"
    expected=$(published_sha256 "$work/published" "$asset")
    [ -n "$expected" ] || fail "$component $version: $checksum names no sha256 for $asset: give it in releases.checksums"
  fi
  fetch "$url" "$work/$asset" || fail "$component $version: $fetch_error"
  actual=$(sha256sum <"$work/$asset" | cut -d ' ' -f 1)
  if [ "$actual" != "$expected" ]; then
    fail "$component $version: $url has the sha256 $actual, but $from says $expected: the file is damaged or not the one that was meant; nothing was installed"
  fi
  mkdir -p "$work/release/bin"
  case $asset in
    *.tar.gz) unpack "$work/$asset" "$work/release" || fail "$component $version: unpacking failed: $(printf '%s\n' "$unpack_error" | head -n 1 | cut -c 1-200); $(disk_full)" ;;
    *) mv "$work/$asset" "$work/release/bin/$component" && chmod 755 "$work/release/bin/$component" ;;
  esac
  [ -n "$(ls -A "$work/release/bin")" ] || fail "$component $version: $asset holds no bin folder"
  starts "$work/release" || fail "$component $version: $damage; nothing was installed"
  # From where it is fetched again, should it be damaged one day.
  { printf '%s\n' "$expected" >"$work/release/sha256" && sums "$work/release" >"$work/release/sums" &&
    printf '%s\n' "$url sha256:$expected" >"$work/release/source"; } || fail "$component $version: cannot write: $(disk_full)"
  for name in http_proxy https_proxy no_proxy; do
    eval "value=\${$name-}"
    [ -z "$value" ] || printf '%s\n' "$name=$value" >>"$work/release/source"
  done
  # On the disk before it is seen in the store: what has a name there is whole, whenever the power goes.
  sync
  dir=$HOME_DIR/store/$component-$version-$(printf '%.12s' "$expected")
  place_in_store "$work/release" "$dir" || fail "$component $version: cannot move it into the store"
  changes "$dir" >"$RUN_DIR/${dir##*/}" || :
  drop_pushed "$url"
  say "$BOARD: $component $version is installed (sha256 verified)"
}

# mend_release COMPONENT VERSION FOLDER: a damaged release is fetched again from where it came.
mend_release() (
  url='' checksum=''
  [ ! -e "$3/source" ] || { read -r url checksum && while read -r proxy; do export "${proxy?}"; done; } <"$3/source"
  case $url in '' | file://*) fail "$1 $2 is damaged on this board: $damage; make the board's steps run again, so that it is fetched again: pulumi up --replace '**:remote:*::$BOARD-*' (docs/operations.md, 'A board was reset')" ;; *) ;; esac
  install_release "$1" "$2" "$url" "$checksum"
)

# A file that came over SSH is of no use any more once its release is in the store.
drop_pushed() {
  case $1 in file://*) rm -f "${1#file://}" ;; *) ;; esac
}

# rootlesskit's archive has no bin folder; the others have nothing else. What tar says is kept in memory:
# on a full disk a file would not take it.
unpack() {
  case $component in
    rootlesskit) unpack_error=$(tar -xozf "$1" -C "$2/bin" 2>&1) ;;
    *) unpack_error=$(tar -xozf "$1" -C "$2" 2>&1) ;;
  esac
}

# What a release takes on the disk at most while it is unpacked, archive and all, in MB: twice of what the largest had.
room_for() {
  case $1 in containerd) echo 200 ;; buildkit) echo 400 ;; *) echo 50 ;; esac
}

# install [--proxy NAME=VALUE …] COMPONENT VERSION URL CHECKSUM [COMPONENT …]: all at once; the slowest
# decides how long it takes. NAME is a variable that curl and wget read: http_proxy, https_proxy, no_proxy.
install_releases() {
  while [ "${1-}" = --proxy ]; do
    export "${2?}"
    shift 2
  done
  stopped='the installation stopped'
  check_room "$@"
  # In memory: the disk may be full.
  reasons=$(mktemp "$RUN_DIR/reasons.XXXXXX") || fail "$RUN_DIR: cannot make a temporary file"
  pids=''
  while [ $# -ge 4 ]; do
    (install_release "$1" "$2" "$3" "$4") &
    pids="$pids $!"
    shift 4
  done
  failed=0
  for pid in $pids; do wait "$pid" || failed=1; done
  reason=$(head -n 1 "$reasons")
  rm -f "$reasons"
  reasons=''
  [ "$failed" = 0 ] || fail "$stopped${reason:+: $reason}; the running service was not touched"
}

# check_room COMPONENT VERSION URL CHECKSUM …: an attempt that cannot succeed would fill the disk for everybody else on it.
check_room() {
  missing_mb=0 missing_names=''
  while [ $# -ge 4 ]; do
    find_release "$1" "$2" >/dev/null || { missing_mb=$((missing_mb + $(room_for "$1"))) missing_names="$missing_names, $1 $2"; }
    shift 4
  done
  [ "$missing_mb" -gt 0 ] || return 0
  free_mb=$(($(free_kb "$HOME_DIR/spool") * 1024 / 1000000))
  [ "$free_mb" -ge "$missing_mb" ] ||
    fail "$stopped: only $free_mb MB are free for $HOME_DIR; $missing_mb MB are needed for ${missing_names#, }: free disk space there; the running service was not touched"
}
