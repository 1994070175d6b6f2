# shellcheck shell=sh
# install: the named releases are in the store, verified against their checksums. What runs is not touched.

# fetch URL FILE: download with an end in every case: refused, unknown, stalled, cut short.
fetch() {
  case $1 in
    file://*) cp "${1#file://}" "$2" 2>/dev/null && return 0
      fetch_error="${1#file://} is not on the board: it is pushed over SSH before the installation; run the update again"
      return 1 ;;
  esac
  if command -v curl >/dev/null 2>&1; then
    status=$(curl --silent --show-error --fail --location --connect-timeout 15 --speed-limit 1000 --speed-time 15 \
      --max-time 1500 --retry 1 --output "$2" --write-out '%{http_code}' "$1" 2>"$2.error")
    code=$?
    detail=$(tail -n 1 "$2.error" 2>/dev/null)
    rm -f "$2.error"
    case $code in
      0) return 0 ;;
      22) case $status in
          404) fetch_error="$1 does not exist (404): no such version, or it has no build for this platform; check releases in the stack" ;;
          *) fetch_error="$1 answered with status $status: check the mirror, then run the update again" ;;
        esac ;;
      18) fetch_error="$1 was cut short: the server ended the connection before the file was whole" ;;
      28) fetch_error="$1 stalled: no progress for 15 s, or no connection; check the mirror and the network" ;;
      23) fetch_error="cannot write the download of $1: $(disk_full)" ;;
      *) fetch_error="$1 cannot be fetched: ${detail:-curl ended with $code}" ;;
    esac
  else
    wget -q -T 20 -t 2 -O "$2" "$1" && return 0
    fetch_error="$1 cannot be fetched (wget): unknown version, or the server or network does not answer; install curl for a closer reason"
  fi
  rm -f "$2"
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

# find_release COMPONENT VERSION [SHA256]: the store's folder of that release, or nothing.
find_release() {
  for dir in "$HOME_DIR/store/$1-$2-"*; do
    [ -f "$dir/sha256" ] || continue
    if [ -z "${3-}" ] || [ "$(cat "$dir/sha256")" = "$3" ]; then
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
  if find_release "$component" "$version" "$expected" >/dev/null; then
    say "$BOARD: $component $version is there"
    drop_pushed "$url"
    return 0
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
  printf '%s\n' "$expected" >"$work/release/sha256" || fail "$component $version: cannot write: $(disk_full)"
  place_in_store "$work/release" "$HOME_DIR/store/$component-$version-$(printf '%.12s' "$expected")" ||
    fail "$component $version: cannot move it into the store"
  drop_pushed "$url"
  say "$BOARD: $component $version is installed (sha256 verified)"
}

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

# install [--proxy NAME=VALUE …] COMPONENT VERSION URL CHECKSUM [COMPONENT …]: all at once; the slowest
# decides how long it takes. NAME is a variable that curl and wget read: http_proxy, https_proxy, no_proxy.
install_releases() {
  while [ "${1-}" = --proxy ]; do
    export "${2?}"
    shift 2
  done
  pids=''
  while [ $# -ge 4 ]; do
    (install_release "$1" "$2" "$3" "$4") &
    pids="$pids $!"
    shift 4
  done
  failed=0
  for pid in $pids; do wait "$pid" || failed=1; done
  [ "$failed" = 0 ] || fail "the installation stopped; the running service was not touched"
}
