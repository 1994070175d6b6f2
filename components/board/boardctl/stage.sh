# shellcheck shell=sh
# stage KIND [ID]: the files on standard input are in the store as KIND-ID; KIND is config or certificates.
# ID, by which `activate` selects them, is the beginning of the input's sha256; where it is given, the
# input must have it. Staging changes nothing that runs.

stage() {
  kind=$1
  work=$(fresh "$kind") || exit 1
  trap 'rm -rf "$work"' EXIT
  [ "$kind" = config ] || umask 077
  mkdir "$work/files"
  cat >"$work/input" || fail "$kind: the input cannot be written: is the disk full?"
  id=$(sha256sum <"$work/input" | cut -c 1-12)
  if ! unbundle "$work/files" <"$work/input" || [ "${2-$id}" != "$id" ]; then
    fail "$kind: the input was cut off, or could not be written ($(($(free_kb "$HOME_DIR") / 1024)) MB free); nothing was changed"
  fi
  target=$HOME_DIR/store/$kind-$id
  if [ "$kind" = certificates ]; then
    read -r first last <"$work/files/validity"
    require_clock_within "$first" "$last"
    chmod 600 "$work/files"/*
    chmod 644 "$work/files/ca.pem" "$work/files/cert.pem" "$work/files/validity"
    chmod 755 "$work/files"
  fi
  if [ -d "$target" ] && diff -r "$target" "$work/files" >/dev/null 2>&1; then
    mend_modes "$kind" "$target"
    say "$BOARD: $kind $id is there"
    return 0
  fi
  rm -rf "$target"
  mv -T "$work/files" "$target" || fail "$kind: cannot move it into the store"
  say "$BOARD: $kind $id is staged"
}

# The key's owner and mode, whoever changed them by hand.
mend_modes() {
  [ "$1" = certificates ] || return 0
  [ "$(stat -c '%a' "$2/key.pem")" = 600 ] || chmod 600 "$2/key.pem"
}
