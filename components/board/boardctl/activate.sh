# shellcheck shell=sh
# activate: the selected releases, configuration and certificates are in use, and a client with a
# certificate of the CA was answered. When that fails, what ran before runs again and the exit is not 0.

# The folders of a generation that have files for a folder of the board: "FOLDER PART/SUBFOLDER" each.
LINKED_FOLDERS="/usr/local/bin containerd/bin
/usr/local/bin buildkit/bin
/usr/local/bin rootlesskit/bin
/usr/local/sbin runc/bin
$ETC_DIR config
$ETC_DIR certificates"

# Whether the board shows this file of a generation, PART/NAME.
is_shown() {
  case $1 in
    config/buildkitd.toml | config/buildkitd.env) return 0 ;;
    config/* | certificates/validity) return 1 ;;
    *) return 0 ;;
  esac
}

# make_room GENERATION: what is in the place of its files and units, and not ours, is put aside, all of it before anything
# is changed.
make_room() {
  while read -r folder _ name; do
    [ -z "$folder" ] || displace "$folder/$name"
  done <<END
$(missing_links "$1")
END
  [ -e "$HOME_DIR/units" ] || : >"$HOME_DIR/units"
  placed=" $(tr '\n' ' ' <"$HOME_DIR/units") "
  for name in $(unit_files "$1/config"); do
    case $placed in *" $name "*) ;; *) displace "$(unit_path "$name")" ;; esac
  done
  while read -r path; do
    [ -z "$path" ] || displace "$path"
  done <<END
$(foreign_unit_files "$1/config")
END
}

# place_links GENERATION: each file of it is seen where the board expects it, through `current`. Every
# process counts on a slow board, so what is there is tested in the shell, and one `ln` makes what is not.
place_links() {
  mkdir -p /usr/local/bin /usr/local/sbin "$ETC_DIR"
  links=$(missing_links "$1")
  for folder in /usr/local/bin /usr/local/sbin "$ETC_DIR"; do
    set --
    while read -r in part name; do
      [ "$in" != "$folder" ] || set -- "$@" "$HOME_DIR/current/$part/$name"
    done <<END
$links
END
    [ $# -eq 0 ] || ln -sfn -t "$folder" "$@"
  done
}

# Our links, found by where they point to.
our_links() {
  find /usr/local/bin /usr/local/sbin "$ETC_DIR" -maxdepth 1 -type l -lname "$HOME_DIR/current/*" 2>/dev/null
}

# missing_links GENERATION: the files of it that the board does not show: FOLDER PART NAME each.
missing_links() {
  there=" $(our_links | tr '\n' ' ')"
  while read -r folder part; do
    for file in "$1/$part"/*; do
      name=${file##*/}
      if ! is_shown "$part/$name" || [ ! -e "$file" ]; then continue; fi
      case $there in *" $folder/$name "*) ;; *) printf '%s\n' "$folder $part $name" ;; esac
    done
  done <<END
$LINKED_FOLDERS
END
}

# displace PATH: a file that is not ours makes room, and comes back on removal. It stays in its place until its copy is
# whole, and two of them are never one.
displace() {
  [ -e "$1" ] || [ -L "$1" ] || return 0
  case $(readlink "$1" 2>/dev/null) in "$HOME_DIR"/*) return 0 ;; *) ;; esac
  aside=$HOME_DIR/displaced$1
  if [ -e "$aside" ] || [ -L "$aside" ]; then
    # A command that was killed here has left both.
    cmp -s "$1" "$aside" && return 0
    fail "$1 is not buildhosts', and another one was put aside from there already, as $aside: move one of the two away, then run the update again; nothing was changed"
  fi
  if ! { mkdir -p "${aside%/*}" && cp -pP "$1" "$HOME_DIR/spool/displaced" && mv -T "$HOME_DIR/spool/displaced" "$aside"; }; then
    fail "$1 of an earlier installation cannot be put aside: $(disk_full); nothing was changed"
  fi
  say "$BOARD: $1 of an earlier installation was put aside; removal puts it back"
}

# The unit files of a configuration: NAME for NAME in the unit folder, and drop-ins as UNIT__NAME.conf.
unit_path() {
  case $1 in
    *__*) printf '%s/%s.d/%s' "$UNIT_DIR" "${1%%__*}" "${1#*__}" ;;
    *) printf '%s/%s' "$UNIT_DIR" "$1" ;;
  esac
}
unit_files() { # unit_files CONFIG: names of the unit files in that configuration
  for file in "$1"/*.service "$1"/*.socket "$1"/*__*.conf; do
    [ ! -e "$file" ] || printf '%s\n' "${file##*/}"
  done
}

# foreign_unit_files CONFIG: what hides or changes a unit of ours and is not ours, as `systemctl edit` and `mask` leave it.
foreign_unit_files() {
  # Those of the configuration before are ours, too, until place_units takes them away.
  ours=" $(tr '\n' ' ' <"$HOME_DIR/units" 2>/dev/null) "
  for name in $(unit_files "$1"); do
    case $name in *__*) continue ;; *) ;; esac
    for folder in /etc/systemd/system /etc/systemd/system.control /run/systemd/system /run/systemd/system.control "$UNIT_DIR"; do
      for path in "$folder/$name" "$folder/$name.d"/*.conf; do
        case $path in "$UNIT_DIR/$name") continue ;; "$UNIT_DIR"/*)
            [ ! -e "$1/${name}__${path##*/}" ] || continue
            case $ours in *" ${name}__${path##*/} "*) continue ;; *) ;; esac ;;
          *) ;;
        esac
        if [ -e "$path" ] || [ -L "$path" ]; then printf '%s\n' "$path"; fi
      done
    done
  done
}

# Units are copied, not linked: systemd treats a linked unit as the administrator's and drops it on `disable`.
place_units() { # place_units CONFIG
  placed=" $(tr '\n' ' ' <"$HOME_DIR/units") "
  for name in $(unit_files "$1"); do
    path=$(unit_path "$name")
    [ -d "${path%/*}" ] || mkdir -p "${path%/*}"
    case $placed in
      *" $name "*) ;;
      *) printf '%s\n' "$name" >>"$HOME_DIR/units" ;;
    esac
    place_file "$1/$name" "$path" 644
  done
  # Units of the configuration before that this one does not have.
  left_units=''
  while read -r name; do
    [ -e "$1/$name" ] && continue
    # It runs on until after the switch: a kill before must leave what ran.
    case $name in *.service | *.socket) systemctl --root=/ disable --quiet "$name" 2>/dev/null; left_units="$left_units $name" ;; *) ;; esac
    rm -f "$(unit_path "$name")"
  done <"$HOME_DIR/units"
  unit_files "$1" >"$HOME_DIR/units.new" && mv -f "$HOME_DIR/units.new" "$HOME_DIR/units"
  # Copies of them are in displaced/ by now.
  foreign_unit_files "$1" | while read -r path; do rm -f "$path"; done
  enable_units "$1"
  # Only where it is needed: it takes seconds on a slow board, and units that are new are mostly found without.
  if unit_files "$1" | grep -v __ | xargs systemctl show --property=LoadState,NeedDaemonReload | grep -Eq '=(not-found|masked|yes)$'; then
    systemctl daemon-reload
  fi
}

# What starts at boot: containerd, and the unit that lets clients in. `--root=/` writes the links only: told of
# them, systemd would call each unit changed until a reload.
enable_units() { # enable_units CONFIG
  set -- "$1" containerd.service buildkitd.service multi-user.target
  if [ -e "$1/buildkitd.socket" ]; then set -- "$1" containerd.service buildkitd.socket sockets.target; fi
  if [ ! -L "/etc/systemd/system/multi-user.target.wants/$2" ] || [ ! -L "/etc/systemd/system/$4.wants/$3" ]; then
    systemctl --root=/ enable --quiet "$2" "$3"
  fi
  if [ "$3" = buildkitd.socket ] && [ -L /etc/systemd/system/multi-user.target.wants/buildkitd.service ]; then
    systemctl --root=/ disable --quiet buildkitd.service
  fi
}

# switch_to GENERATION: after this one rename, everything on the board is that generation's.
switch_to() {
  place_links "$1"
  place_units "$1/config"
  sync
  link "$1" "$HOME_DIR/current"
  # Links to what only the generation before had.
  our_links | while read -r path; do [ -e "$path" ] || rm -f "$path"; done
  # A rename reaches the disk before the service is told: power may go at any time.
  sync
}

differs() { # differs OLD NEW PATH: does this file or folder of the generations differ?
  [ -n "$1" ] || return 0
  [ -e "$1/$3" ] || [ -e "$2/$3" ] || return 1
  [ "$(readlink -f "$1/$3" 2>/dev/null)" = "$(readlink -f "$2/$3" 2>/dev/null)" ] && return 1
  ! cmp -s "$1/$3" "$2/$3"
}

has_unit() { [ -e "$1/config/$2" ]; }

# The unit that has to be up for clients to get in: the socket, where systemd listens.
entry_unit() { if has_unit "$1" buildkitd.socket; then echo buildkitd.socket; else echo buildkitd.service; fi; }

# Whether each service must be restarted when OLD gives way to NEW. runc is started anew for each
# container, so its change restarts nothing.
plan_restarts() { # plan_restarts OLD NEW
  restart_containerd=false restart_buildkitd=false
  if [ "$interrupted" = true ] || differs "$1" "$2" containerd || differs "$1" "$2" config/containerd.service ||
    ! unit_active containerd.service; then
    restart_containerd=true
  fi
  for part in buildkit rootlesskit certificates/cert.pem certificates/key.pem certificates/ca.pem $(unit_names_and_settings "$1" "$2"); do
    if differs "$1" "$2" "$part"; then restart_buildkitd=true; fi
  done
  if [ "$interrupted" = true ] || ! unit_active "$(entry_unit "$2")"; then restart_buildkitd=true; fi
  for part in $(changed_by_hand "$1"); do
    case $part in containerd*) restart_containerd=true ;; runc) ;; *) restart_buildkitd=true ;; esac
  done
}

# changed_by_hand GENERATION: units and parts of the generation in use that are not on the board as it has them, or were not
# until a moment ago: a service may have been started from what somebody made of them.
changed_by_hand() {
  [ ! -e "$HOME_DIR/replaced" ] || cat "$HOME_DIR/replaced"
  [ -n "$1" ] || return 0
  for name in $(unit_files "$1/config"); do
    cmp -s "$1/config/$name" "$(unit_path "$name")" || printf '%s\n' "${name%%__*}"
  done
  foreign_unit_files "$1/config" | sed 's,.*/\([^/]*\)\.d/[^/]*$,\1,; s,.*/,,'
  missing_links "$1" | while read -r _ part name; do
    # The others are started anew for each build.
    case $name in containerd | buildkitd | rootlesskit | buildkitd.* | *.pem) printf '%s\n' "${part%%/*}" ;; *) ;; esac
  done
}
unit_names_and_settings() {
  for dir in "$1/config" "$2/config"; do
    [ -d "$dir" ] && (cd "$dir" && for file in buildkitd.*; do [ -e "$file" ] && printf 'config/%s\n' "$file"; done)
  done | sort -u
}

# Certificates are read once, at start, and a restart ends running builds: wait for them, with a bound.
drain() {
  [ "$drain_seconds" -gt 0 ] && unit_active buildkitd.service || return 0
  began=$(uptime) say_at=0
  while running=$(running_builds) && [ "$running" -gt 0 ]; do
    waited=$(($(uptime) - began))
    if [ "$waited" -ge "$drain_seconds" ]; then
      say "$BOARD: $running build(s) still running after $drain_seconds s (drainSeconds); the restart ends them"
      return 0
    fi
    if [ "$waited" -ge "$say_at" ]; then
      say "$BOARD: waiting for $running running build(s) before the restart, at most $((drain_seconds - waited)) s"
      say_at=$((waited + 30))
    fi
    sleep 2
  done
}
# Seconds since boot, which no setting of the clock moves.
uptime() { read -r since_boot _ </proc/uptime && printf %s "${since_boot%%.*}"; }
# A line is TYPE REF CREATED COMPLETED GENERATION, and COMPLETED is a time or nothing.
running_builds() {
  timeout 20 /usr/local/bin/buildctl debug histories 2>/dev/null | awk '$1 == "STARTED" && $4 !~ /T/ { n++ } END { print n + 0 }'
}

# One call for both: systemd starts them at the same time, where the worker does not need containerd.
start_services() { # start_services GENERATION
  entry=$(entry_unit "$1")
  set --
  if [ "$restart_containerd" = true ]; then set -- containerd.service; fi
  if [ "$restart_buildkitd" = true ]; then
    if [ "$entry" = buildkitd.socket ]; then
      systemctl stop buildkitd.service buildkitd.socket
    elif [ "$interrupted" = true ] || [ -n "$left_units" ]; then
      # systemd may still listen in the daemon's place.
      systemctl stop buildkitd.socket 2>/dev/null
    fi
    set -- "$@" "$entry"
  fi
  [ $# -gt 0 ] || return 0
  say "$BOARD: starting $*"
  systemctl restart "$@" && return 0
  for failed_unit in "$@"; do unit_active "$failed_unit" || return 1; done
  return 1
}

# ask GENERATION WORD …: its buildctl asks the daemon, by a client's own way in: TCP, the server's name verified, the
# client's certificate shown. By the local socket where the daemon trusts another CA than that of our client.
ask() {
  asking=$1
  shift
  if [ "$by_socket" = true ]; then
    timeout "$patience" "$asking/buildkit/bin/buildctl" --addr unix:///run/buildkit/buildkitd.sock "$@" 2>"$health/error"
  else
    timeout "$patience" "$asking/buildkit/bin/buildctl" --addr "$check_address" --tlsservername "$check_name" \
      --tlscacert "$health/ca.pem" --tlscert "$health/client-cert.pem" --tlskey "$health/client-key.pem" "$@" 2>"$health/error"
  fi
}
by_socket=false patience=30

healthy() { # healthy GENERATION
  failed_unit=buildkitd.service complaint=''
  tries=0
  while ! workers=$(ask "$1" debug workers); do
    tries=$((tries + 1))
    [ "$tries" -lt 5 ] || return 1
    # Asking again makes sense only while the daemon lives.
    unit_active buildkitd.service || [ "$tries" -lt 2 ] || return 1
    sleep 1
  done
  printf '%s\n' "$workers" | awk 'NR > 1 && NF { found = 1 } END { exit !found }' || { complaint='it has no worker'; return 1; }
  [ "$by_socket" = false ] || [ -n "$(listening "${check_address##*:}")" ] || { complaint="nothing listens on $check_address"; return 1; }
}

# builds GENERATION: a step is executed, with runc, the sandbox and the network that every build has. What it leaves in the
# cache is taken away.
builds() {
  mkdir -p "$health/step"
  step_program "$health/step/buildhosts-health" || return 0
  patience=120
  printf '%s' "$STEP" | base64 -d | ask "$1" build --no-cache --progress plain --local "buildhosts-health=$health/step" >/dev/null
  ended=$?
  [ "$ended" = 0 ] || complaint="a step of a build does not run: $(step_error)"
  patience=30
  # No step had its turn, where others' builds have them all.
  if [ "$ended" = 124 ] && [ "$restart_buildkitd" = false ] && [ "$(running_builds)" -gt 0 ]; then
    say "$BOARD: warning: the daemon is busy with other builds, so no step was tried"
    ended=0
  fi
  ask "$1" prune --filter 'description~=buildhosts-health' >/dev/null || :
  return "$ended"
}

# What the step or runc said, or else how the build ended.
step_error() {
  awk '/^#[0-9]+ [0-9.]+ / { sub(/^#[0-9]+ [0-9.]+ /, ""); said = $0; exit } { last = $0 } END { print said == "" ? last : said }' "$health/error" | cut -c 1-300
}

# The reason, for the last line of what is said; `complaint` where it is known.
why_unhealthy() {
  [ -z "$complaint" ] || { printf '%s' "$complaint"; return; }
  said=$(tail -n 1 "$health/error" 2>/dev/null | cut -c 1-300)
  [ -n "$said" ] || said=$(systemctl show --property=Result,ExecMainStatus "$failed_unit" 2>/dev/null |
    awk -F = '{ of[$1] = $2 } END { if (of["Result"] != "") print "it ended with status " of["ExecMainStatus"] " (" of["Result"] ")" }')
  printf '%s' "${said:-no reason was given}"
}

show_failure() {
  say "$BOARD: $failed_unit is not healthy: $reason"
  say "$BOARD: the last lines of its log:"
  # Without Go's stack traces, in which a function's name stands before each line with a tab: they would
  # push the reason out of sight.
  journalctl -u "$failed_unit" -n 60 --no-pager -o cat 2>/dev/null |
    awk '/^\t/ { held = ""; next } held { print held } { held = "    " $0 } END { if (held) print held }' | tail -n 15 >&2 || :
}

return_to_good() {
  good=$(readlink "$HOME_DIR/good" 2>/dev/null)
  if [ -n "$good" ] && [ -d "$good" ] && [ "$good" != "$generation" ]; then
    say "$BOARD: returning to what ran before"
    # What runs now is of this generation, in whatever condition: only what differs is started again.
    plan_restarts "$generation" "$good"
    restart_buildkitd=true
    make_room "$good"
    switch_to "$good"
    cmp -s "$good/certificates/ca.pem" "$health/ca.pem" || by_socket=true
    : >"$health/error"
    if start_services "$good" && healthy "$good"; then
      rm -f "$HOME_DIR/pending" "$HOME_DIR/replaced"
      say "$BOARD: what ran before runs again and is healthy"
    else
      reason=$(why_unhealthy)
      show_failure
      say "$BOARD: what ran before is not healthy either"
    fi
  elif [ -z "$good" ]; then
    deactivate
    say "$BOARD: nothing ran before; the services were stopped and their units removed"
  else
    say "$BOARD: this is what ran before, so there is nothing to return to"
  fi
}

# keep_releases OLD NEW: of each release that gives way to another, the old one stays after later generations too,
# so that a version can be gone back to without a download.
keep_releases() {
  [ -n "$1" ] && [ "$1" != "$2" ] || return 0
  for part in containerd runc buildkit rootlesskit; do
    release=$(readlink "$1/$part") || continue
    [ "$release" != "$(readlink "$2/$part")" ] || continue
    mkdir -p "$HOME_DIR/kept"
    link "$release" "$HOME_DIR/kept/$part"
  done
}

# Keeps the generation in use, the one before, and the kept releases; what only older ones needed goes.
prune() { # prune CURRENT PREVIOUS
  for dir in "$HOME_DIR/generations"/*; do
    case $dir in "$1" | "$2") ;; *) rm -rf "$dir" ;; esac
  done
  needed=" $(readlink "$HOME_DIR/generations"/*/* "$HOME_DIR/kept"/* | tr '\n' ' ')"
  for dir in "$HOME_DIR/store"/*; do
    case $needed in *" $dir "*) ;; *) rm -rf "$dir" ;; esac
  done
  rm -rf "$HOME_DIR/spool"/*
}

# The user that a rootless daemon runs as, with 65536 ids of its own for the users inside its builds.
make_rootless_user() { # make_rootless_user ROOT
  if ! id buildkit >/dev/null 2>&1; then
    useradd --system --user-group --no-create-home --home-dir /var/lib/buildkit-rootless --shell /usr/sbin/nologin buildkit ||
      fail "cannot make the user 'buildkit', which rootless needs"
    : >"$HOME_DIR/made-user"
  fi
  for file in /etc/subuid /etc/subgid; do
    grep -q '^buildkit:' "$file" 2>/dev/null && continue
    free=$(awk -F : 'BEGIN { end = 100000 } $2 + $3 > end { end = $2 + $3 } END { print end }' "$file" 2>/dev/null)
    # Of a user who was here before, only the line is ours to take away.
    [ -e "$HOME_DIR/made-user" ] || remember "ids $file buildkit:${free:-100000}:65536"
    printf 'buildkit:%s:65536\n' "${free:-100000}" >>"$file"
  done
  # systemd makes the default one by itself (StateDirectory).
  case $1 in '' | /var/lib/buildkit-rootless) return 0 ;; *) ;; esac
  if [ ! -e "$1" ]; then
    if ! mkdir -p "$1" || ! chown buildkit: "$1"; then
      fail "cannot make $1 (buildkitd.root) for the user 'buildkit'"
    fi
  elif [ "$(stat -c %U "$1")" != buildkit ]; then
    fail "$1 (buildkitd.root) belongs to '$(stat -c %U "$1")', and a rootless daemon could not write there: chown buildkit: $1, or name another folder; nothing was changed"
  fi
}

# missing WHAT: the stack's state says that an earlier step put it here, and it is gone.
missing() {
  fail "$1 is not on the board any more, though the stack's state says so (was the board reset?): make its steps run again with pulumi up --replace '**:remote:*::$BOARD-*' (docs/operations.md, 'A board was reset')"
}

activate() {
  releases='' config='' check_address='' check_name='' drain_seconds=0 root='' bridge=''
  while [ $# -ge 2 ]; do
    case $1 in
      --containerd | --runc | --buildkit | --rootlesskit) releases="$releases ${1#--}=$2" ;;
      --config) config=$2 ;;
      --check) check_address=$2 ;;
      --server-name) check_name=$2 ;;
      --drain-seconds) drain_seconds=$2 ;;
      --root) root=$2 ;;
      --bridge) bridge=$2 ;;
      *) fail "activate: unknown option '$1'" ;;
    esac
    shift 2
  done

  # The certificates of the server and of the health check's client come on standard input. The client's
  # key stays in memory (/run), for as long as this command runs.
  health=$(mktemp -d /run/buildhosts-health.XXXXXX) || fail "/run: cannot make a temporary folder"
  trap 'rm -rf "$health"' EXIT
  (umask 077 && unbundle "$health") || fail "activate: the input was cut off; nothing was changed"
  stage_certificates "$health"

  parts=''
  for release in $releases; do
    component=${release%%=*} selected=${release#*=}
    version=${selected%@*} sha256=''
    case $selected in *@*) sha256=${selected#*@} ;; *) ;; esac
    dir=$(find_release "$component" "$version" "$sha256") || missing "$component $version"
    if ! sound "$dir"; then mend_release "$component" "$version" "$dir" || exit 1; fi
    parts="$parts $component=$dir"
  done
  [ -d "$HOME_DIR/store/config-$config" ] || missing "configuration $config"
  parts="$parts config=$HOME_DIR/store/config-$config certificates=$HOME_DIR/store/certificates-$certificates_id"

  generation=$HOME_DIR/generations/$(printf '%s' "$parts" | sha256sum | cut -c 1-12)
  if [ ! -d "$generation" ]; then
    work=$(fresh generation) || exit 1
    chmod 755 "$work"
    for part in $parts; do ln -s "${part#*=}" "$work/${part%%=*}"; done
    mv -T "$work" "$generation"
  fi

  case $releases in *rootlesskit=*) make_rootless_user "$root" ;; *) ;; esac
  before=$(readlink "$HOME_DIR/current" 2>/dev/null)
  good_before=$(readlink "$HOME_DIR/good" 2>/dev/null)
  interrupted=false
  [ ! -e "$HOME_DIR/pending" ] || interrupted=true
  plan_restarts "$before" "$generation"
  [ "$restart_buildkitd" = false ] || drain
  make_room "$generation"
  : >"$HOME_DIR/pending"
  [ -e /var/lib/cni ] || remember "folder /var/lib/cni"
  [ -z "$root" ] || remember "root $root"
  # One that is there already is somebody's.
  [ -z "$bridge" ] || [ -e "/sys/class/net/$bridge" ] || remember "bridge $bridge"
  switch_to "$generation"
  : >"$health/error"
  complaint='' failed_unit=buildkitd.service tried=''
  # A step that ran is not run again where nothing has changed since.
  if [ "$interrupted$restart_containerd$restart_buildkitd" = falsefalsefalse ] && [ "$generation" = "$good_before" ]; then tried=before; fi
  if start_services "$generation" && healthy "$generation" && { [ -n "$tried" ] || builds "$generation"; }; then
    # What worked last and is not this stays, for the way back; written down before it is `good` no longer.
    previous=$good_before
    [ "$previous" != "$generation" ] || previous=$(readlink "$HOME_DIR/previous" 2>/dev/null)
    keep_releases "$good_before" "$generation"
    [ -z "$previous" ] || link "$previous" "$HOME_DIR/previous"
    link "$generation" "$HOME_DIR/good"
    rm -f "$HOME_DIR/pending" "$HOME_DIR/replaced"
    prune "$generation" "$previous"
    did=''
    [ -n "$tried" ] || did=', and ran a step of a build'
    say "$BOARD: healthy: buildkitd answers on $check_address over mutual TLS$did"
  else
    reason=$(why_unhealthy)
    first_reason="$failed_unit is not healthy: $reason"
    show_failure
    return_to_good
    fail "the update failed: $first_reason"
  fi
}
