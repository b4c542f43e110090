#!/bin/sh
# What goboot asks a host before it changes anything there, in one round trip. Sent to "sh -s" over SSH, in plain
# POSIX: the host may have no Python yet. Nothing is changed; where root is needed, only "sudo -n" is used.
#
# Arguments: the name of the site, and "short" (what a deploy needs) or "full".
# Prints one "name=value" a line. Some names come several times, and some only with "full".
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH
site=$1
depth=$2

if [ "$(id -u)" = 0 ]; then
  sudo=yes
  as_root() { "$@"; }
elif sudo -n true 2>/dev/null; then
  sudo=yes
  as_root() { sudo -n "$@"; }
else
  sudo=no
  as_root() { "$@"; }
fi
echo "sudo=$sudo"

# shellcheck source=/dev/null
if [ -r /etc/os-release ]; then . /etc/os-release; fi
echo "operatingSystem=${ID:-unknown} ${VERSION_ID:-}"
echo "operatingSystemName=${PRETTY_NAME:-unknown}"
echo "python=$(python3 --version 2>/dev/null)"
if [ -d /run/systemd/system ]; then echo systemd=yes; else echo systemd=no; fi
echo "provisioned=$(as_root cat "/etc/$site/provisioned" 2>/dev/null)"

[ "$depth" = full ] || exit 0

# Machine
echo "time=$(date +%s)"
echo "kernelArchitecture=$(uname -m)"
echo "packageArchitecture=$(dpkg --print-architecture 2>/dev/null)"
echo "memoryKib=$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo 2>/dev/null)"
# A container may have less than the machine that it runs on.
for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
  if [ -r "$file" ]; then echo "memoryLimit=$(cat "$file")"; fi
done
for directory in / /srv /var; do
  [ -d "$directory" ] || continue
  # Total, used and free, in KiB and in inodes.
  echo "disk=$directory $(df -Pk "$directory" 2>/dev/null | awk 'NR == 2 { print $2, $3, $4, $6 }')"
  echo "inodes=$directory $(df -Pi "$directory" 2>/dev/null | awk 'NR == 2 { print $2, $3, $4, $6 }')"
done
{ ip -o addr show scope global 2>/dev/null || hostname -I 2>/dev/null | tr ' ' '\n' | sed 's/^/- - - /'; } |
  awk '{ sub(/\/.*/, "", $4); if ($4 != "") print "address=" $4 }'

# apt: fetches the file that "apt-get update" would fetch first, the way apt would, to a place that is not apt's. In
# the background, because it may take seconds.
apt_source() {
  apt-get indextargets --no-release-info 2>/dev/null |
    sed -n -E 's/^Base-URI: ((https?|mirror|mirror\+[a-z]+|tor\+https?):.*)/\1/p' | head -n 1
}
ask_apt() {
  uri=$(apt_source)
  if [ -z "$uri" ]; then
    echo aptSource=
    return
  fi
  echo "aptSource=$uri"
  answer=$(as_root timeout 5 /usr/lib/apt/apt-helper -o Acquire::Retries=0 -o Acquire::http::Timeout=4 \
    -o Acquire::https::Timeout=4 -o APT::Sandbox::User=root download-file "${uri}InRelease" "$scratch/InRelease" 2>&1)
  case $? in
  0) echo aptAnswer=ok ;;
  124) echo 'aptAnswer=no answer within 5 seconds' ;;
  *) echo "aptAnswer=$(printf '%s\n' "$answer" | grep '^E: ' | head -n 1 | cut -c 4-)" ;;
  esac
}
scratch=
if [ -x /usr/lib/apt/apt-helper ]; then
  for place in /dev/shm /run /tmp; do
    scratch=$(mktemp -d "$place/goboot.XXXXXX" 2>/dev/null) && break
  done
fi
if [ -n "$scratch" ]; then
  trap 'as_root rm -rf "$scratch"' EXIT
  ask_apt >"$scratch/answer" &
fi

# Who holds one of apt's locks: processes with a lock of fcntl(2) that have one of its files open.
# shellcheck disable=SC2016 # $$ and the like belong to the inner shell.
as_root sh -c '
  for process in $(awk "\$2 == \"POSIX\" { print \$5 }" /proc/locks | sort -u); do
    if ls -l "/proc/$process/fd" 2>/dev/null | grep -Eq " /var/(lib/dpkg/lock|lib/apt/lists/lock|cache/apt/archives/lock)"; then
      echo "aptLock=$process $(cat "/proc/$process/comm")"
    fi
  done
' 2>/dev/null
# The second letter: half-installed, unpacked, half-configured.
dpkg-query --show --showformat='${db:Status-Abbrev} ${Package}\n' 2>/dev/null |
  awk '$1 ~ /^.[HUF]/ { print "unfinishedPackage=" $2 }'

# Web server
if command -v ss >/dev/null; then
  as_root ss -Hltnp 2>/dev/null | awk '$4 ~ /:(80|443)$/ { print "listener=" $0 }'
else
  # Without the names of programs. 0A is LISTEN, 0050 and 01BB are the ports.
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
    awk '$4 == "0A" && $2 ~ /:(0050|01BB)$/ { print "listener=LISTEN 0 0 *:" ($2 ~ /0050$/ ? 80 : 443) " *:*" }'
fi
for file in /etc/nginx/nginx.conf /etc/nginx/conf.d/*.conf /etc/nginx/sites-enabled/*; do
  [ -f "$file" ] || continue
  # One statement a line; only those that say for which names a server is.
  { cat "$file" 2>/dev/null || as_root cat "$file"; } | sed 's/#.*//' | tr '\n\t' '  ' | tr ';{}' '[\n*]' |
    awk -v file="$file" '$1 == "server_name" || ($1 == "listen" && / default_server/) { print "nginx=" file "\t" $0 }'
done

# The site of that name
if as_root test -e "/etc/$site"; then
  echo siteExists=yes
  echo "siteDomain=$(as_root sed -n 's/^ *"domain": *"\([^"]*\)".*/\1/p' "/etc/$site/release.json" 2>/dev/null)"
  as_root openssl x509 -in "/etc/$site/tls/fullchain.pem" -noout -dates -issuer -subject 2>/dev/null |
    sed 's/^/certificate=/'
fi

wait
if [ -n "$scratch" ]; then cat "$scratch/answer"; fi
