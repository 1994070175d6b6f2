# shellcheck shell=sh
# preflight: is this board able to become the builder that the stack asks for? Lists every problem at
# once and changes nothing while there is one; afterwards boardctl itself is in place.

problem() {
  problems=$((problems + 1))
  say "  $problems. $1"
  say "     fix: $2"
}

# Whether the kernel has FEATURE built in or as a module that could be loaded; loads nothing.
kernel_has() {
  grep -qw "$1" /proc/filesystems 2>/dev/null && return 0
  [ -d "/sys/module/$1" ] && return 0
  modprobe -n -q "$1" 2>/dev/null
}

# A CONFIG_ option of the running kernel: 0 set, 1 not set, 2 the configuration cannot be read.
kernel_config() {
  if [ -r /proc/config.gz ]; then
    zcat /proc/config.gz | grep -q "^$1=[ym]"
  elif [ -r "/boot/config-$(uname -r)" ]; then
    grep -q "^$1=[ym]" "/boot/config-$(uname -r)"
  elif [ -r "/lib/modules/$(uname -r)/config" ]; then
    grep -q "^$1=[ym]" "/lib/modules/$(uname -r)/config"
  else
    return 2
  fi
}

need_kernel() {
  for feature in "$@"; do
    kernel_has "$feature" || problem \
      "the kernel $(uname -r) has no '$feature', which $need_for needs" \
      "use a kernel with that module${need_else:+, or $need_else}"
  done
}

need_command() {
  command -v "$1" >/dev/null 2>&1 && return 0
  missing_packages="$missing_packages $2"
  missing_commands="$missing_commands $1"
}

# The nearest folder above $1 that exists.
existing() {
  dir=$1
  while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
  printf '%s' "$dir"
}

free_kb() { df -Pk "$(existing "$1")" | awk 'NR == 2 { print $4 }'; }

check_user() {
  [ "$(id -u)" = 0 ] && return 0
  if ! command -v sudo >/dev/null 2>&1; then
    problem "user '$(id -un)' is not root, and there is no sudo" "connect as root (user: root), or install sudo"
  elif ! sudo -n true 2>/dev/null; then
    problem "user '$(id -un)' cannot use sudo without a password" \
      "allow it on the board: echo '$(id -un) ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/buildhosts; or connect as root (user: root)"
  fi
}

check_machine() {
  found=$(uname -m)
  [ "$found" = "$1" ] || problem "this machine is $found, but the stack says platform $2" \
    "correct boards[].platform, or the address, of this board"
  [ -d /run/systemd/system ] || problem "systemd is not the init system here" \
    "use an operating system that runs systemd (the services are systemd units)"
}

check_commands() {
  missing_commands='' missing_packages=''
  need_command flock util-linux
  need_command timeout coreutils
  need_command sha256sum coreutils
  need_command tar tar
  need_command gzip gzip
  need_command awk mawk
  command -v curl >/dev/null 2>&1 || need_command wget curl
  need_command git git # git contexts (docker build https://…)
  need_command xz xz-utils # ADD of .tar.xz in a Dockerfile
  need_command modprobe kmod
  [ "$network" = host ] || need_command iptables iptables
  if [ "$rootless" = true ]; then
    need_command newuidmap uidmap
  fi
  [ -z "$missing_commands" ] || problem "commands are missing:$missing_commands" \
    "install them, on Debian and Ubuntu with: apt-get install -y$missing_packages"
}

check_kernel() {
  need_for='' need_else=''
  case $snapshotter in
    auto | overlayfs) need_for='the overlayfs snapshotter' ;;
    stargz) need_for='the stargz snapshotter' ;;
    *) ;;
  esac
  [ -z "$need_for" ] || need_kernel overlay
  if [ "$network" = bridge ]; then
    need_for='network: bridge' need_else='set network: host for this board (RUN steps can then reach the daemon)'
    need_kernel veth bridge nf_nat xt_MASQUERADE xt_comment
  fi
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    for controller in cpu memory pids; do
      grep -qw "$controller" /sys/fs/cgroup/cgroup.controllers || problem \
        "the cgroup controller '$controller' is off" \
        "switch it on (kernel command line, e.g. cgroup_enable=$controller) and reboot"
    done
    # runc allows and denies devices with a BPF program on cgroup v2; vendor kernels have lacked it.
    kernel_config CONFIG_CGROUP_BPF
    [ $? -ne 1 ] || problem "the kernel $(uname -r) lacks CONFIG_CGROUP_BPF, so runc cannot start containers on cgroup v2" \
      "use a kernel with CONFIG_CGROUP_BPF=y"
  elif [ ! -d /sys/fs/cgroup/memory ]; then
    problem "no cgroups are mounted at /sys/fs/cgroup" "boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1)"
  elif [ "$network" = bridge ]; then
    # systemd filters by a BPF program on cgroup v2, and says nothing where it cannot.
    problem "cgroups are version 1 here, so nothing would keep RUN steps from the daemon's port (IPAddressDeny needs version 2)" \
      "boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1), or set network: host for this board and trust every build"
  fi
  if [ "$rootless" = true ]; then
    [ "$(cat /proc/sys/user/max_user_namespaces 2>/dev/null || echo 0)" -gt 0 ] || problem \
      "user namespaces are off, which rootless needs" "sysctl user.max_user_namespaces=28633, or rootless: false"
    [ "$(cat /proc/sys/kernel/apparmor_restrict_unprivileged_userns 2>/dev/null || echo 0)" = 0 ] || problem \
      "AppArmor restricts unprivileged user namespaces, which rootless needs" \
      "sysctl kernel.apparmor_restrict_unprivileged_userns=0 (and in /etc/sysctl.d), or rootless: false"
  fi
}

check_clock() {
  now=$(date +%s)
  [ $((now + CLOCK_TOLERANCE)) -ge "$1" ] || problem \
    "the clock says $(utc "$now"), before the certificates' beginning at $(utc "$1"): every handshake would be refused" \
    "set the clock: timedatectl set-ntp true, or date -s '@SECONDS'"
  [ "$2" = 0 ] || [ "$now" -le "$2" ] || problem \
    "the clock says $(utc "$now"), after the end of the authority's certificate at $(utc "$2"): every handshake would be refused" \
    "set the clock: timedatectl set-ntp true, or date -s '@SECONDS'"
}

check_disk() {
  install_free=$(free_kb "$HOME_DIR")
  # Two versions side by side and one being unpacked.
  [ "$install_free" -ge 716800 ] || problem \
    "only $((install_free / 1024)) MB are free for $HOME_DIR; 700 MB are needed" "free disk space there"
  [ "$1" -gt 0 ] || return 0
  root=$2
  room=$(free_kb "$root")
  [ "$room" -lt $(($1 / 1024)) ] || return 0
  # What the cache has already is room for it, too; to count it takes minutes where it is large.
  [ ! -d "$root" ] || room=$((room + $(du -sk "$root" 2>/dev/null | awk '{ print $1 }')))
  [ "$room" -ge $(($1 / 1024)) ] || problem \
    "the cache may grow to $(($1 / 1000000)) MB (gc maxUsedSpace), but $root has room for $((room * 1024 / 1000000)) MB" \
    "lower buildkitd maxUsedSpace for this board, or give $root a larger disk"
}

# The kernel's own list of TCP sockets: not every board has a program that shows it.
listening() { # listening PORT: the inode of a socket that listens there
  awk -v port="$1" '$4 == "0A" && substr($2, length($2) - 4) == sprintf(":%04X", port) { print $10; exit }' \
    /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# check_port PORT KEY: it may be taken by the service that we are about to replace, but by nothing else.
check_port() {
  inode=$(listening "$1")
  [ -n "$inode" ] || return 0
  pid=$(find /proc/[0-9]*/fd -maxdepth 1 -lname "socket:\\[$inode\\]" 2>/dev/null | sed -n 's,^/proc/\([0-9]*\)/.*,\1,p;q')
  holder=$(cat "/proc/${pid:-none}/comm" 2>/dev/null)
  for unit in buildkitd.socket buildkitd.service; do
    unit_active "$unit" || continue
    case $holder in buildkitd | rootlesskit | systemd) return 0 ;; *) ;; esac
  done
  problem "port $1 is taken by ${holder:-another program}${pid:+ (pid $pid)}" "stop that program, or choose another port ($2) for this board"
}

# check_bridge SUBNET BRIDGE: the network of RUN steps is no other network of the board's: it would lose that one.
check_bridge() {
  # shellcheck disable=SC2046 # a word for each bridge
  overlapping=$(awk -v subnet="$1" -v ours="$(printf ' %s ' "$2" buildkit0 $(used bridge))" '
    function hex(text, i, n) {
      for (i = 1; i <= length(text); i++) n = n * 16 + index("0123456789ABCDEF", toupper(substr(text, i, 1))) - 1
      return n
    }
    # Addresses stand there with their last byte first.
    function address(text) {
      return hex(substr(text, 7, 2) substr(text, 5, 2) substr(text, 3, 2) substr(text, 1, 2))
    }
    function dotted(n) {
      return int(n / 16777216) "." int(n / 65536) % 256 "." int(n / 256) % 256 "." n % 256
    }
    BEGIN {
      split(subnet, part, /[.\/]/)
      size = 2 ^ (32 - part[5])
      first = ((part[1] * 256 + part[2]) * 256 + part[3]) * 256 + part[4]
      first -= first % size
    }
    NR > 1 && $2 != "00000000" && !index(ours, " " $1 " ") {
      from = address($2)
      many = 4294967296 - address($8)
      for (bits = 32; 2 ^ (32 - bits) < many; bits--);
      if (from < first + size && first < from + many) { print dotted(from) "/" bits " (" $1 ")"; exit }
    }' /proc/net/route 2>/dev/null)
  [ -z "$overlapping" ] || problem \
    "the network of RUN steps, $1, overlaps $overlapping: the board would no longer reach what is in both" \
    "choose a network that is free there: buildkitd.worker.bridgeSubnet"
}

check_other_installations() {
  units='containerd.service buildkitd.service buildkitd.socket'
  for unit in $units; do
    override=/etc/systemd/system/$unit
    if [ -e "$override" ] && [ ! -L "$override" ]; then
      problem "$override would hide the unit that is installed here" "move it away: mv $override $override.old"
    fi
  done
  # One call for all of them: on a slow board each costs a tenth of a second.
  # shellcheck disable=SC2086
  running=$(systemctl show --property=Id,ActiveState,FragmentPath $units 2>/dev/null |
    awk -F = '/^Id=/ { id = $2 } /^ActiveState=/ { state = $2 } /^FragmentPath=/ { path = $2 }
      /^$/ { print id, state, path } END { print id, state, path }' | sort -u)
  # Not at the end of a pipe, where problems would be counted in another process.
  while read -r unit state fragment; do
    [ "$state" = active ] || continue
    case $fragment in
      "$UNIT_DIR"/* | /etc/systemd/system/* | '') ;;
      *) problem "$unit of another installation is running ($fragment)" "remove that package, or use another board" ;;
    esac
  done <<EOF
$running
EOF
}

preflight() {
  problems=0
  board='' machine='' platform='' network=bridge rootless=false snapshotter=auto clock_after=0 clock_before=0
  cache_bytes=0 cache_root=/var/lib/buildkit port='' metrics_port='' bridge='' bridge_subnet=''
  while [ $# -ge 2 ]; do
    case $1 in
      --board) board=$2 ;;
      --machine) machine=$2 ;;
      --platform) platform=$2 ;;
      --network) network=$2 ;;
      --rootless) rootless=$2 ;;
      --snapshotter) snapshotter=$2 ;;
      --clock-after) clock_after=$2 ;;
      --clock-before) clock_before=$2 ;;
      --cache-bytes) cache_bytes=$2 ;;
      --cache-root) cache_root=$2 ;;
      --port) port=$2 ;;
      --metrics-port) metrics_port=$2 ;;
      --bridge) bridge=$2 ;;
      --bridge-subnet) bridge_subnet=$2 ;;
      --at) ;; # for the reader of the diff: the address that the connection has
      --script) ;; # only so that a changed script shows in the diff
      *) fail "preflight: unknown option '$1'" ;;
    esac
    shift 2
  done
  BOARD=$board
  say "$BOARD: checking"
  check_machine "$machine" "$platform"
  check_user
  check_commands
  check_kernel
  check_clock "$clock_after" "$clock_before"
  check_disk "$cache_bytes" "$cache_root"
  check_port "$port" listen
  [ -z "$metrics_port" ] || check_port "$metrics_port" metrics
  [ -z "$bridge_subnet" ] || check_bridge "$bridge_subnet" "$bridge"
  check_other_installations
  if [ "$problems" -gt 0 ]; then
    say "$BOARD: preflight found $problems problem(s), listed above; nothing was changed on this board"
    exit 1
  fi
}

# Puts this very script, and the board's name for its messages, in place.
place_boardctl() {
  mkdir -p "$HOME_DIR/store" "$HOME_DIR/generations" "$HOME_DIR/spool" "$HOME_DIR/displaced"
  chmod 700 "$HOME_DIR/spool"
  # Where the connecting user, who may be another one than last time, puts files that are pushed over SSH; they
  # are verified before use.
  [ -d "$HOME_DIR/pushed" ] || mkdir "$HOME_DIR/pushed"
  if [ "${SUDO_UID:-0}" != 0 ] || [ ! -O "$HOME_DIR/pushed" ]; then chown -R "${SUDO_UID:-0}" "$HOME_DIR/pushed"; fi
  [ "$(cat "$HOME_DIR/name" 2>/dev/null)" = "$BOARD" ] || printf '%s\n' "$BOARD" >"$HOME_DIR/name"
  place_file "$0" "$HOME_DIR/boardctl" 755 || :
}
