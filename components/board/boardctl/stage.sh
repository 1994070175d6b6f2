# shellcheck shell=sh
# Staging brings files into the store. It changes nothing that runs.

# stage_config ID: the files on standard input are in the store as config-ID. ID, by which `activate`
# selects them, is the beginning of the input's sha256.
stage_config() {
  work=$(fresh config) || exit 1
  trap 'rm -rf "$work"' EXIT
  mkdir "$work/files"
  cat >"$work/input" || fail "config: the input cannot be written: is the disk full?"
  id=$(sha256sum <"$work/input" | cut -c 1-12)
  if ! unbundle "$work/files" <"$work/input" || [ "${1-}" != "$id" ]; then
    fail "config: the input was cut off, or could not be written ($(($(free_kb "$HOME_DIR") / 1024)) MB free); nothing was changed"
  fi
  store config "$id" "$work/files"
}

# stage_certificates FOLDER: the server's files among those of FOLDER are in the store as certificates-ID;
# `certificates_id` is set to ID, the beginning of the sha256 of all four.
stage_certificates() {
  read -r first last <"$1/validity"
  require_clock_within "$first" "$last"
  work=$(fresh certificates) || exit 1
  for file in ca.pem cert.pem key.pem validity; do
    mode=644
    [ "$file" != key.pem ] || mode=600
    if ! (umask 077 && cat "$1/$file" >"$work/$file") || ! chmod "$mode" "$work/$file"; then
      fail "certificates: cannot be written: is the disk full? ($(($(free_kb "$HOME_DIR") / 1024)) MB free); nothing was changed"
    fi
  done
  chmod 755 "$work"
  certificates_id=$(cd "$work" && cat ca.pem cert.pem key.pem validity | sha256sum | cut -c 1-12)
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
  rm -rf "$target"
  mv -T "$3" "$target" || fail "$1: cannot move it into the store"
  say "$BOARD: $1 $2 is staged"
}

# The key's owner and mode, whoever changed them by hand.
mend_modes() {
  [ "$1" = certificates ] || return 0
  [ "$(stat -c '%a' "$2/key.pem")" = 600 ] || chmod 600 "$2/key.pem"
}
