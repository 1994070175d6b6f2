# shellcheck shell=sh
# preflight: is this board able to become the builder that the stack asks for? Lists every problem at
# once and changes nothing while there is one; afterwards boardctl itself is in place.

problem() {
  problems=$((problems + 1))
  say "  $problems. $1"
  say "     fix: $2"
}

warning() { say "  warning: $1"; }

# A CONFIG_ option of the running kernel: 0 set, 1 not set, 2 the configuration cannot be read.
kernel_config() {
  if [ -r /proc/config.gz ]; then
    zcat /proc/config.gz 2>/dev/null | grep -q "^$1=[ym]"
  elif [ -r "/boot/config-$(uname -r)" ]; then
    grep -q "^$1=[ym]" "/boot/config-$(uname -r)"
  elif [ -r "/lib/modules/$(uname -r)/config" ]; then
    grep -q "^$1=[ym]" "/lib/modules/$(uname -r)/config"
  else
    return 2
  fi
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
# How many inodes the file system has, and how many of them are free; nothing where it makes them as it needs them.
inodes() { df -Pi "$(existing "$1")" 2>/dev/null | awk 'NR == 2 && $2 > 0 { print $2, $4 }'; }
megabytes() { printf '%s' "$(($1 * 1024 / 1000000))"; } # megabytes KIB

# What only root can see or do is left out where the user cannot become root: that is a problem of its own already.
is_root() { [ "$(id -u)" = 0 ]; }

# check_owner OWNER FORMER: another stack's board, or another one's of this stack, is not taken over. FORMER is the name
# that this board had, with PROJECT/STACK/ before it where it was another stack's.
check_owner() {
  has=$(owner)
  case $has in '' | "$1" | "${1##*/}" | "$2") return 0 ;; *) ;; esac
  case $2 in
    '') ;;
    */*) [ "$has" != "${2##*/}" ] || return 0 ;;
    *) [ "$has" != "${1%/*}/$2" ] || return 0 ;;
  esac
  case $has in
    "${1%/*}"/*) problem "this machine is the board '${has##*/}' of the same stack already, and what runs there would be taken over" \
      "if the board has a new name, set formerName: ${has##*/}; the board goes on as it is. Otherwise correct its host" ;;
    */*) problem "this machine is the board '${has##*/}' of the stack '${has%/*}', and what runs there would be taken over" \
      "to hand it over: formerName: $has for this board, run the update, then take the board out of that stack, which leaves the machine alone. Otherwise correct its host" ;;
    *) problem "this machine is a board '$has' already, of a stack that did not write down its name, and what runs there would be taken over" \
      "if this is that board, set formerName: $has; the board goes on as it is. Otherwise correct its host" ;;
  esac
}

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
  need_command cksum coreutils
  need_command modprobe kmod
  need_command unshare util-linux
  if [ "$network" != host ]; then
    need_command iptables iptables
    need_command ip iproute2
  fi
  if [ "$rootless" = true ]; then
    need_command newuidmap uidmap
  fi
  [ -z "$missing_commands" ] || problem "commands are missing:$missing_commands" \
    "install them, on Debian and Ubuntu with: apt-get install -y$missing_packages"
}

# check_overlay ROOT SNAPSHOTTER: an overlay of two layers on the cache's own file system. Kernels name their features in
# many ways or not at all, and file systems differ: it is tried, not asked for. Without it, BuildKit falls back to copying
# each layer in full, and says nothing.
check_overlay() {
  case $2 in auto | overlayfs | stargz) ;; *) return 0 ;; esac
  is_root && command -v unshare >/dev/null 2>&1 || return 0
  trial=$(mktemp -d "$(existing "$1")/.buildhosts-trial.XXXXXX" 2>/dev/null) || return 0
  refusal=$(mkdir "$trial/lower" "$trial/upper" "$trial/work" "$trial/merged" &&
    unshare -m mount -t overlay overlay -o "lowerdir=$trial/lower,upperdir=$trial/upper,workdir=$trial/work" "$trial/merged" 2>&1) ||
    problem "no overlay can be mounted in $1, which the snapshotter '$2' needs: $(printf '%s' "$refusal" | head -n 1 | sed "s,$trial,TRIAL,g" | cut -c 1-200)" \
      "use a kernel with CONFIG_OVERLAY_FS, or a root (buildkitd.root) on ext4, xfs or btrfs; or choose buildkitd.worker.snapshotter: native, which copies every layer in full"
  rm -rf "$trial"
}

# check_network: what the bridge of RUN steps is made of, in a network namespace that ends with the command. Rules are
# tried by the very iptables that the bridge will call.
check_network() {
  is_root && command -v unshare >/dev/null 2>&1 && command -v ip >/dev/null 2>&1 && command -v iptables >/dev/null 2>&1 || return 0
  # shellcheck disable=SC2016 # for the shell inside
  refused=$(unshare -n sh -c '
    try() { what=$1; shift; said=$("$@" 2>&1) || printf "%s|%s\n" "$what" "$(printf %s "$said" | head -n 1 | cut -c 1-160)"; }
    try "veth pair (CONFIG_VETH)" ip link add bh0 type veth peer name bh1
    try "bridge (CONFIG_BRIDGE)" ip link add bh2 type bridge
    try "NAT rule (CONFIG_NF_NAT, CONFIG_NETFILTER_XT_TARGET_MASQUERADE, CONFIG_NETFILTER_XT_MATCH_COMMENT)" \
      iptables -w -t nat -A POSTROUTING -s 10.10.0.0/16 -m comment --comment buildhosts -j MASQUERADE
    try "rule for connections (CONFIG_NETFILTER_XT_MATCH_CONNTRACK)" \
      iptables -w -A FORWARD -d 10.10.0.0/16 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
  ' 2>&1)
  [ -n "$refused" ] || return 0
  # Not at the end of a pipe, where problems would be counted in another process.
  while IFS='|' read -r what said; do
    problem "the kernel $(uname -r) makes no $what, which network: bridge needs: ${said:-it gives no reason}" \
      "use a kernel with these options, built in or as modules, or set network: host for this board (RUN steps can then reach the daemon)"
  done <<EOF
$refused
EOF
}

check_kernel() {
  check_overlay "$cache_root" "$snapshotter"
  [ "$network" != bridge ] || check_network
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
    problem "cgroups are version 1 here, so RUN steps could reach the daemon's port (IPAddressDeny needs version 2)" \
      "boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1), or set network: host for this board and trust every build"
  fi
  if [ "$rootless" = true ]; then
    [ "$(cat /proc/sys/user/max_user_namespaces 2>/dev/null || echo 0)" -gt 0 ] || problem \
      "user namespaces are off, which rootless needs" "sysctl user.max_user_namespaces=28633, or rootless: false"
    [ "$(cat /proc/sys/kernel/unprivileged_userns_clone 2>/dev/null || echo 1)" != 0 ] || problem \
      "unprivileged user namespaces are off, which rootless needs" \
      "sysctl kernel.unprivileged_userns_clone=1 (and in /etc/sysctl.d), or rootless: false"
    # A profile goes by the path that is executed, not by a link to it.
    [ "$(cat /proc/sys/kernel/apparmor_restrict_unprivileged_userns 2>/dev/null || echo 0)" = 0 ] ||
      grep -rqs "$HOME_DIR/store/rootlesskit-.*/bin/rootlesskit" /etc/apparmor.d || problem \
      "AppArmor restricts unprivileged user namespaces, which rootless needs" \
      "allow them to rootlesskit alone: echo 'profile buildhosts-rootlesskit $HOME_DIR/store/rootlesskit-*/bin/rootlesskit flags=(unconfined) { userns, }' > /etc/apparmor.d/buildhosts-rootlesskit && systemctl reload apparmor; or to all: sysctl kernel.apparmor_restrict_unprivileged_userns=0 (and in /etc/sysctl.d); or rootless: false"
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

# As the file system is mounted, too.
can_write() { [ -w "$1" ]; }

# check_writable FOLDER …: an image with a read-only /usr is common, whatever the modes in it say.
check_writable() {
  is_root || return 0
  read_only=''
  for folder in "$@"; do
    folder=$(existing "$folder")
    case "$read_only " in *" $folder "*) continue ;; *) ;; esac
    can_write "$folder" || read_only="$read_only $folder"
  done
  [ -z "$read_only" ] || problem "read-only, but something must be installed there:$read_only" \
    "mount something that can be written there (a disk, or an overlay over the image), or use another operating system on this board"
}

check_disk() {
  install_free=$(free_kb "$HOME_DIR")
  # Two versions side by side and one being unpacked.
  [ "$install_free" -ge 683594 ] || problem \
    "only $(megabytes "$install_free") MB are free for $HOME_DIR; 700 MB are needed" "free disk space there"
  [ "$1" -gt 0 ] || return 0
  root=$2
  room=$(free_kb "$root")
  [ "$room" -lt $(($1 / 1024)) ] || return 0
  if [ -d "$root" ]; then
    # How much is there already, only root can see.
    is_root || return 0
    # What the cache has already is room for it, too; to count it takes minutes where it is large.
    room=$((room + $(du -skH "$root" 2>/dev/null | awk '{ print $1 }')))
  fi
  [ "$room" -ge $(($1 / 1024)) ] || problem \
    "the cache may grow to $(($1 / 1000000)) MB (gc maxUsedSpace), but $root has room for $(megabytes "$room") MB" \
    "lower buildkitd.worker.maxUsedSpace for this board, or give $root a larger disk"
}

# check_inodes BYTES ROOT: each file takes an inode, of which many file systems have a number that is fixed when they are made.
# Garbage collection counts bytes alone, so the inodes must last for as many as the cache may have.
check_inodes() {
  left_inodes=$(inodes "$HOME_DIR")
  left_inodes=${left_inodes#* }
  [ "${left_inodes:-1000}" -ge 1000 ] || problem \
    "only $left_inodes inodes are free for $HOME_DIR, which is as many files; 1000 are needed" "delete files there, however small"
  all_inodes=$(inodes "$2")
  all_inodes=${all_inodes% *}
  [ -n "$all_inodes" ] || return 0
  most=$1
  [ "$most" -gt 0 ] || most=$(($(df -Pk "$(existing "$2")" | awk 'NR == 2 { print $2 }') * 1024))
  [ "$all_inodes" -ge $((most / 65536)) ] || warning \
    "the file system of $2 has $all_inodes inodes, one for every $((most / all_inodes / 1000)) kB that the cache may have: most files are smaller, so that they run out before garbage collection, which counts bytes alone, frees anything. Make it with more (mkfs.ext4 -i 16384), take xfs or btrfs, or lower buildkitd.worker.maxUsedSpace"
}

# check_labels ROOT: steps that SELinux confines (worker.selinux) read only what has the labels of a container's files, which
# the policy gives to /var/lib/buildkit alone.
check_labels() {
  [ "$(cat /sys/fs/selinux/enforce 2>/dev/null)" = 1 ] || return 0
  case $1/ in /var/lib/buildkit/*) return 0 ;; *) ;; esac
  case $(stat -L -c %C "$1" 2>/dev/null) in *:container_*) return 0 ;; *) ;; esac
  warning "SELinux is enforcing here, and its policy does not know $1 (buildkitd.root): RUN steps may not read their own files there. Labels as those of /var/lib/buildkit: mkdir -p $1 && semanage fcontext -a -e /var/lib/buildkit $1 && restorecon -R $1"
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
  pid=$(holder_of "$inode")
  holder=$(cat "/proc/${pid:-none}/comm" 2>/dev/null)
  for unit in buildkitd.socket buildkitd.service; do
    unit_active "$unit" || continue
    # Whose socket it is, only root can see.
    case $holder in buildkitd | rootlesskit | systemd) return 0 ;; '') is_root || return 0 ;; *) ;; esac
  done
  problem "port $1 is taken by ${holder:-another program}${pid:+ (pid $pid)}" "stop that program, or choose another port ($2) for this board"
}

# check_bridge SUBNET BRIDGE PEER: the network of RUN steps is no other network of the board's, in whichever routing
# table, and hides nobody whom the board talks to: it would lose them, and again with each boot.
check_bridge() {
  if [ -e "/sys/class/net/$2" ] && [ "$2" != buildkit0 ] && ! used bridge | grep -qxF "$2"; then
    problem "the network interface $2 is here already, and it is not buildhosts': RUN steps' bridge would take it over" \
      "choose a name that is free there: buildkitd.worker.bridgeName"
  fi
  # One line for each network or address, with what it is in brackets.
  # shellcheck disable=SC2046 # a word for each bridge
  overlapping=$({
    ip -4 route show table all 2>/dev/null | route_networks "$(printf ' %s ' "$2" buildkit0 $(used bridge))"
    [ -z "${3-}" ] || printf '%s\n' "$3 (the other end of this SSH connection)"
    for file in /etc/resolv.conf /run/systemd/resolve/resolv.conf; do
      [ ! -r "$file" ] || awk -v file="$file" '$1 == "nameserver" { print $2 " (a name server in " file ")" }' "$file"
    done
  } | awk -v subnet="$1" '
    function number(text, part) { split(text, part, "."); return ((part[1] * 256 + part[2]) * 256 + part[3]) * 256 + part[4] }
    BEGIN {
      split(subnet, of, "/")
      size = 2 ^ (32 - of[2])
      first = number(of[1])
      first -= first % size
    }
    $1 ~ /^[0-9]+\.[0-9.]+(\/[0-9]+)?$/ {
      split($1, of, "/")
      many = 2 ^ (32 - (of[2] == "" ? 32 : of[2]))
      from = number(of[1])
      if (from < first + size && first < from + many) { print; exit }
    }')
  [ -z "$overlapping" ] || problem \
    "the network of RUN steps, $1, overlaps $overlapping: the board would no longer reach what is in both" \
    "choose a network that is free there: buildkitd.worker.bridgeSubnet"
}

# Networks and gateways of `ip route`, each with its interface. Half of the Internet, as VPNs name it, is a default route
# in disguise; what leads nowhere gives way to the bridge; and what is the machine's own is no network.
route_networks() { # route_networks " OURS "
  awk -v ours="$1" '
    $1 ~ /^(unreachable|blackhole|prohibit|throw|local|broadcast|multicast|anycast|nat)$/ { next }
    {
      device = gateway = ""
      for (i = 2; i < NF; i++) { if ($i == "dev") device = $(i + 1); if ($i == "via") gateway = $(i + 1) }
      if (device != "" && index(ours, " " device " ")) next
      if (gateway != "") print gateway " (the gateway of " device ")"
      if ($1 == "default" || $1 == "0.0.0.0/1" || $1 == "128.0.0.0/1") next
      print $1 (index($1, "/") ? "" : "/32") " (" device ")"
    }'
}

# check_nameservers: BuildKit gives RUN steps no name server on the board's loopback, and takes public ones instead of it.
check_nameservers() {
  [ "$nameservers" = board ] && [ -r /etc/resolv.conf ] || return 0
  file=/etc/resolv.conf
  if grep -q '^nameserver *127\.0\.0\.53' "$file" && [ -r /run/systemd/resolve/resolv.conf ]; then file=/run/systemd/resolve/resolv.conf; fi
  awk '$1 == "nameserver" { if ($2 ~ /^127\./ || $2 == "::1") own = 1; else other = 1 } END { exit !(own && !other) }' "$file" || return 0
  warning "$file names only this machine's own loopback, which RUN steps do not reach: they get public name servers, which know no names of your network. Name servers for them: buildkitd.dns.nameservers"
}

# check_forwarding BRIDGE: CNI opens the chain of iptables for RUN steps; what another table of nftables drops, stays dropped.
check_forwarding() {
  dropping=$(nft list ruleset 2>/dev/null | awk -v bridge="$1" '
    $1 == "table" { table = $2 " " $3; found = "" }
    $1 == "chain" { chain = $2 }
    /hook forward/ && /policy drop/ && table != "ip filter" { found = table ", chain " chain }
    index($0, "\"" bridge "\"") { found = "" }
    /^}/ && found != "" { print found; exit }')
  [ -z "$dropping" ] || warning "nftables drops what is forwarded (table $dropping): RUN steps reach no network until it lets $1 through, such as by: nft insert rule ${dropping%%,*} ${dropping##* } iifname $1 accept, and the same with oifname"
}

# check_uplink: packets of RUN steps are as large as the bridge allows, 1500 bytes.
check_uplink() {
  uplink=$(ip -4 route show default 2>/dev/null | sed -n 's/.* dev \([^ ]*\).*/\1/p;q')
  mtu=$(cat "/sys/class/net/${uplink:-none}/mtu" 2>/dev/null || echo 1500)
  [ "$mtu" -ge 1500 ] || warning "$uplink takes packets of $mtu bytes, and RUN steps send up to 1500: where the network drops the notice of it, their downloads hang. Then: network: host, or iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"
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
      *)
        way='remove that package'
        if [ "$unit" = containerd.service ] && unit_active docker.service; then
          way="this machine's Docker uses it: name the machine under dockerHosts, where BuildKit runs as a container"
        fi
        problem "$unit of another installation is running ($fragment)" "$way, or use another board" ;;
    esac
  done <<EOF
$running
EOF
  check_other_daemon
}

# check_other_daemon: a BuildKit under whatever name that has our daemon's socket or root. The second one of them would
# take the first one's socket away, or end over its lock.
check_other_daemon() {
  is_root && ! unit_active buildkitd.service && ! unit_active buildkitd.socket || return 0
  # Without systemd nobody knows that the holder is ours.
  [ -d /run/systemd/system ] || return 0
  pid='' what='the socket /run/buildkit/buildkitd.sock'
  inode=$(awk '$8 == "/run/buildkit/buildkitd.sock" { print $7; exit }' /proc/net/unix 2>/dev/null)
  [ -z "$inode" ] || pid=$(holder_of "$inode")
  if [ -z "$pid" ] && [ -e "$cache_root/buildkitd.lock" ]; then
    what="the root $cache_root"
    pid=$(awk -v inode="$(stat -c %i "$cache_root/buildkitd.lock")" '{ n = split($6, of, ":"); if (of[n] == inode) { print $5; exit } }' /proc/locks 2>/dev/null)
  fi
  [ -n "$pid" ] || return 0
  unit=$(sed -n 's,.*/\([^/]*\.service\)$,\1,p' "/proc/$pid/cgroup" 2>/dev/null | head -n 1)
  if [ "$pid" = 1 ]; then
    # systemd listens for it.
    unit=$(systemctl list-sockets --no-legend 2>/dev/null | awk '$1 == "/run/buildkit/buildkitd.sock" { print $2; exit }')
  fi
  problem "another BuildKit has $what: $(cat "/proc/$pid/comm" 2>/dev/null) (pid $pid)${unit:+ of $unit}" \
    "${unit:+systemctl disable --now $unit; or }stop that program, or use another board"
}

holder_of() { # holder_of INODE: the process with that socket
  find /proc/[0-9]*/fd -maxdepth 1 -lname "socket:\\[$1\\]" 2>/dev/null | sed -n 's,^.*/proc/\([0-9]*\)/.*,\1,p;q'
}

preflight() {
  problems=0
  board='' machine='' platform='' network=bridge rootless=false snapshotter=auto clock_after=0 clock_before=0
  cache_bytes=0 cache_root=/var/lib/buildkit port='' metrics_port='' bridge='' bridge_subnet=''
  of='' former='' nameservers=board selinux=false peer=${SSH_CONNECTION-}
  peer=${peer%% *}
  while [ $# -ge 2 ]; do
    case $1 in
      --board) board=$2 ;;
      --owner) of=$2 ;;
      --former) former=$2 ;;
      --nameservers) nameservers=$2 ;;
      --peer) peer=$2 ;;
      --machine) machine=$2 ;;
      --platform) platform=$2 ;;
      --network) network=$2 ;;
      --rootless) rootless=$2 ;;
      --snapshotter) snapshotter=$2 ;;
      --selinux) selinux=$2 ;;
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
  OWNER=${of:+$of/}$board
  say "$BOARD: checking"
  check_machine "$machine" "$platform"
  check_user
  check_owner "$OWNER" "$former"
  check_commands
  check_writable "$HOME_DIR" /usr/local/bin /usr/local/sbin "$UNIT_DIR" "$ETC_DIR" /etc/systemd/system
  check_kernel
  check_clock "$clock_after" "$clock_before"
  check_disk "$cache_bytes" "$cache_root"
  check_inodes "$cache_bytes" "$cache_root"
  [ "$selinux" = false ] || check_labels "$cache_root"
  check_port "$port" listen
  [ -z "$metrics_port" ] || check_port "$metrics_port" metrics
  if [ -n "$bridge_subnet" ]; then
    check_bridge "$bridge_subnet" "$bridge" "$peer"
    check_nameservers
    check_forwarding "$bridge"
    check_uplink
  fi
  check_other_installations
  if [ "$problems" -gt 0 ]; then
    say "$BOARD: preflight found $problems problem(s), listed above; nothing was changed on this board"
    exit 1
  fi
}

# Puts this very script, and whose board this is, in place.
place_boardctl() {
  mkdir -p "$HOME_DIR/store" "$HOME_DIR/generations" "$HOME_DIR/spool" "$HOME_DIR/displaced"
  chmod 700 "$HOME_DIR/spool"
  # Where the connecting user, who may be another one than last time, puts files that are pushed over SSH; they
  # are verified before use.
  [ -d "$HOME_DIR/pushed" ] || mkdir "$HOME_DIR/pushed"
  if [ "${SUDO_UID:-0}" != 0 ] || [ ! -O "$HOME_DIR/pushed" ]; then chown -R "${SUDO_UID:-0}" "$HOME_DIR/pushed"; fi
  printf '%s\n' "$OWNER" >"$HOME_DIR/spool/name"
  place_file "$HOME_DIR/spool/name" "$HOME_DIR/name" 644 || :
  rm -f "$HOME_DIR/spool/name"
  place_file "$0" "$HOME_DIR/boardctl" 755 || :
}
