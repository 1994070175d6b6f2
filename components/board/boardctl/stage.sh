# shellcheck shell=sh
# Staging brings files into the store. It changes nothing that runs.

# stage_config ID: the files on standard input are in the store as config-ID. ID, by which `activate`
# selects them, is the beginning of the input's sha256.
stage_config() {
  work=$(fresh config) || exit 1
  trap 'rm -rf "$work"' EXIT
  mkdir "$work/files"
  cat >"$work/input" || fail "config: the input cannot be written: $(disk_full)"
  id=$(sha256sum <"$work/input" | cut -c 1-12)
  if ! unbundle "$work/files" <"$work/input" || [ "${1-}" != "$id" ]; then
    fail "config: the input was cut off, or could not be written: $(disk_full); nothing was changed"
  fi
  # Keys for registries; a rootless daemon has them from systemd.
  chmod 600 "$work/files"/buildkitd.*-key.pem 2>/dev/null || :
  # What runc is called by.
  [ ! -e "$work/files/runc" ] || chmod 755 "$work/files/runc"
  store config "$id" "$work/files"
}

# stage_certificates FOLDER: the server's files among those of FOLDER are in the store as certificates-ID;
# `certificates_id` is set to ID, the beginning of the sha256 of all four.
stage_certificates() {
  read -r first last <"$1/validity"
  require_clock_within "$first" "$last"
  work=$(fresh certificates) || exit 1
  if ! (cd "$1" && cp ca.pem cert.pem key.pem validity "$work/") || ! (cd "$work" && chmod 755 . && chmod 644 ca.pem cert.pem validity && chmod 600 key.pem); then
    fail "certificates: cannot be written: $(disk_full); nothing was changed"
  fi
  certificates_id=$(id_of_certificates "$work")
  store certificates "$certificates_id" "$work"
}

# store KIND ID FOLDER: FOLDER is moved into the store, unless the same is there already.
store() {
  target=$HOME_DIR/store/$1-$2
  if [ -d "$target" ] && diff -r "$target" "$3" >/dev/null 2>&1; then
    rm -rf "$3"
    mend_modes "$1" "$target"
    return 0
  fi
  place_in_store "$3" "$target" || fail "$1: cannot move it into the store"
  say "$BOARD: $1 $2 is staged"
}

# Modes that matter, whoever changed them by hand: those of keys, and that of what runc is called by.
mend_modes() {
  case $1 in
    certificates) [ "$(stat -c '%a' "$2/key.pem")" = 600 ] || chmod 600 "$2/key.pem" ;;
    *)
      [ ! -e "$2/runc" ] || [ -x "$2/runc" ] || chmod 755 "$2/runc"
      chmod 600 "$2"/buildkitd.*-key.pem 2>/dev/null || : ;;
  esac
}
