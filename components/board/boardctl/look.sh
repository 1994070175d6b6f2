# shellcheck shell=sh
# look: what somebody changed on a board since boardctl worked there. The preview of an update sends this script to the board, after
# common.sh, preflight.sh and activate.sh. It changes nothing, but for notes in $RUN_DIR that spare the next look some reading.
#
# It prints one line for each fact, with `|` between its words:
#   absent|BOOT|CHANGE      nothing of buildhosts is here; this machine runs since BOOT, and the folder above changed at CHANGE
#   busy                    another boardctl is at work
#   of|OWNER                the installation belongs to another board or stack
#   script|ID               the first 12 digits of the sha256 of the boardctl that is here
#   disk|KIB|INODES         what is free on the cache's file system; no number where it makes inodes as it needs them
#   changed|STEP|WORDS      what is not as STEP of the board (preflight, install, config, service) left it

changed() { printf 'changed|%s|%s\n' "$1" "$2"; }

# When a path was last changed in any way; of a missing one, when its folder was.
since() {
  at=$1
  [ -e "$at" ] || [ -L "$at" ] || at=${at%/*}
  utc "$(stat -c %Z "$at" 2>/dev/null)"
}

# not_ours PATH: what is wrong with a file that is not as boardctl made it.
not_ours() {
  if [ -e "$1" ] || [ -L "$1" ]; then printf '%s was changed by hand at %s' "$1" "$(since "$1")"
  else printf '%s was removed by hand at %s' "$1" "$(since "$1")"; fi
}

look_at_releases() {
  for part in containerd runc buildkit rootlesskit; do
    release=$(readlink "$HOME_DIR/current/$part") || continue
    if [ ! -d "$release/bin" ]; then changed install "$(not_ours "$release")"; continue; fi
    for file in "$release"/bin/*; do
      [ -x "$file" ] || changed install "$file is not executable since $(since "$file")"
    done
    [ -e "$release/sums" ] || continue
    if was_sound "$release"; then continue; fi
    if found=$(sums "$release") && [ "$found" = "$(cat "$release/sums")" ]; then continue; fi
    while read -r sum size file; do
      case "
$found
" in
        *"
$sum $size $file
"*) ;;
        *) changed install "$(not_ours "$release/$file")" ;;
      esac
    done <"$release/sums"
  done
}

# look_at_item STEP PART ID: does the folder of the store still have the content that its name was made from? ID is that of
# what is there.
look_at_item() {
  item=$(readlink "$HOME_DIR/current/$2") || return 0
  if [ ! -d "$item" ]; then changed "$1" "$(not_ours "$item")"; return; fi
  [ "${item##*-}" != "$3" ] || return 0
  # The file that was changed last, or the folder, where one is gone.
  last=$(stat -c '%Z %n' "$item" "$item"/* 2>/dev/null | sort -rn | head -n 1)
  last=${last#* }
  shown=$last
  case $2/${last##*/} in
    config/buildkitd.toml | config/buildkitd.env | certificates/*.pem) shown=$ETC_DIR/${last##*/} ;;
    *) ;;
  esac
  if [ "$last" = "$item" ]; then changed "$1" "a file of $item was removed or added by hand at $(since "$item")"
  else changed "$1" "$shown was changed by hand at $(since "$last")"; fi
}

# As bundle.ts puts the files together.
config_id() {
  (cd "$HOME_DIR/current/config" 2>/dev/null && awk 'FNR == 1 { print "==> " FILENAME " <==" } { print } END { print "==> end <==" }' ./* 2>/dev/null) |
    sed 's,^==> \./,==> ,' | sha256sum | cut -c 1-12
}
# What is in use, read when it was changed since a look found it well, or the board was booted: to say so takes two processes,
# and to read it thirty.
look_at_store() {
  noted=$RUN_DIR/looked
  as_it_is=$(cd "$HOME_DIR/current/" && stat -L -c '%n %s %i %z' ./* ./*/* ./*/bin/* 2>/dev/null)
  if [ -e "$noted" ] && [ "$as_it_is" = "$(cat "$noted")" ]; then return; fi
  wrong=$(
    look_at_releases
    look_at_item config config "$(config_id)"
    look_at_item service certificates "$(id_of_certificates "$HOME_DIR/current/certificates")"
  )
  if [ -n "$wrong" ]; then printf '%s\n' "$wrong"
  else own_folder && printf '%s\n' "$as_it_is" >"$noted"; fi
}

# Files that only root may read, and what must be executable.
look_at_modes() {
  for file in "$HOME_DIR/current/certificates/key.pem" "$HOME_DIR/current/config"/buildkitd.*-key.pem; do
    [ -e "$file" ] || continue
    mode=$(stat -L -c '%a %U' "$file")
    [ "$mode" != '600 root' ] || continue
    step=config
    case $file in */certificates/*) step=service file=$ETC_DIR/key.pem ;; *) ;; esac
    changed "$step" "$file has the mode ${mode% *} of ${mode#* }, not 600 of root, since $(utc "$(stat -L -c %Z "$file")")"
  done
  runc=$HOME_DIR/current/config/runc
  [ ! -e "$runc" ] || [ -x "$runc" ] || changed config "$runc is not executable since $(utc "$(stat -L -c %Z "$runc")")"
}

look_at_links() {
  missing_links "$HOME_DIR/current" | while read -r folder _ name; do changed service "$(not_ours "$folder/$name")"; done
}

# look_at_units PORT …: unit files, what systemd makes of them, and whether the services run.
look_at_units() {
  config=$HOME_DIR/current/config
  [ -d "$config" ] || return 0
  for name in $(unit_files "$config"); do
    path=$(unit_path "$name")
    cmp -s "$config/$name" "$path" || changed service "$(not_ours "$path")"
  done
  foreign_unit_files "$config" | while read -r path; do
    changed service "$path changes a unit of buildhosts since $(since "$path")"
  done
  entry=$(entry_unit "$HOME_DIR/current")
  wanted_by=multi-user.target
  [ "$entry" = buildkitd.service ] || wanted_by=sockets.target
  for link in "multi-user.target.wants/containerd.service" "$wanted_by.wants/$entry"; do
    [ -L "/etc/systemd/system/$link" ] || changed service "${link##*/} was disabled at $(since "/etc/systemd/system/$link")"
  done
  is_up=true
  # One process for both; a line without a word ends each.
  states=$(systemctl show --property=Id,ActiveState,SubState,InactiveEnterTimestamp containerd.service "$entry")
  while IFS='=' read -r key value; do
    case $key in
      Id) unit=$value ;;
      ActiveState) active=$value ;;
      SubState) sub=$value ;;
      InactiveEnterTimestamp) at=$value ;;
      '')
        case $active/$sub in
          active/* | reloading/* | deactivating/*) continue ;;
          activating/auto-restart*) changed service "$unit fails, and systemd starts it again and again" ;;
          activating/*) continue ;;
          *) changed service "$unit is $active since $at" ;;
        esac
        [ "$unit" != "$entry" ] || is_up=false
        ;;
      *) ;;
    esac
  done <<END
$states

END
  [ "$is_up" = false ] || return 0
  for port in "$@"; do
    inode=$(listening "$port")
    [ -n "$inode" ] || continue
    pid=$(holder_of "$inode")
    changed preflight "port $port is taken by $(cat "/proc/${pid:-none}/comm" 2>/dev/null || echo another program)${pid:+ (pid $pid)}"
  done
}

# look OWNER FORMER ROOT PORT …: FORMER is the name before, ROOT is the cache's where its disk is asked for, or nothing.
look() {
  of=$1 former=$2 cache_root=$3
  shift 3
  if [ ! -e "$HOME_DIR/boardctl" ] && [ ! -d "$HOME_DIR/store" ]; then
    printf 'absent|%s|%s\n' "$(utc "$(sed -n 's/^btime //p' /proc/stat)")" "$(since "$HOME_DIR")"
    return
  fi
  if [ -e "$LOCK_FILE" ] && ! flock --nonblock --shared "$LOCK_FILE" true; then echo busy; return; fi
  has=$(owner)
  case $has in
    "$of" | "${of##*/}" | '') ;;
    "${of%/*}/${former:-/}" | "${former:-/}") ;;
    *) printf 'of|%s\n' "$has"; return ;;
  esac
  if [ -n "$cache_root" ]; then
    free_inodes=$(inodes "$cache_root")
    printf 'disk|%s|%s\n' "$(free_kb "$cache_root")" "${free_inodes#* }"
  fi
  if [ -e "$HOME_DIR/boardctl" ]; then printf 'script|%s\n' "$(sha256sum "$HOME_DIR/boardctl" | cut -c 1-12)"
  else changed preflight "$(not_ours "$HOME_DIR/boardctl")"; fi
  [ -n "$has" ] || changed preflight "$(not_ours "$HOME_DIR/name")"
  if [ ! -d "$HOME_DIR/current/" ]; then
    # Nothing was put to use yet, or the link is gone.
    [ -z "$(ls -A "$HOME_DIR/generations" 2>/dev/null)" ] || changed service "$(not_ours "$HOME_DIR/current")"
    return
  fi
  [ ! -e "$HOME_DIR/pending" ] || changed service "a change was cut short before its health check at $(since "$HOME_DIR/pending")"
  look_at_store
  look_at_modes
  look_at_links
  look_at_units "$@"
}
