#!/usr/bin/env bash
# Makes and removes temporary users, for programs that must not be run by root. Needs root.
#
#   normal-user.sh create NAME HOME [--sudo]   HOME is made; --sudo lets the user become root without a password
#   normal-user.sh remove NAME                 ends the user's processes; the home directory stays
#   normal-user.sh remove-below DIRECTORY      removes every user whose home is in that directory
set -euo pipefail

sudo_rule() { echo "/etc/sudoers.d/$1"; }

end_processes() {
  local signal
  for signal in TERM KILL; do
    # A process that ends while find looks at it makes find fail.
    { find /proc -maxdepth 1 -name '[0-9]*' -uid "$(id -u "$1")" -printf '%f\n' 2>/dev/null || true; } |
      while read -r process; do kill "-$signal" "$process" 2>/dev/null || true; done
    sleep 0.2
  done
}

remove() {
  rm -f "$(sudo_rule "$1")"
  id "$1" >/dev/null 2>&1 || return 0
  end_processes "$1"
  userdel "$1"
}

case ${1:-} in
create)
  useradd --user-group --home-dir "$3" --no-create-home --shell /bin/sh "$2"
  install -d -m 0750 -o "$2" -g "$2" "$3"
  if [ "${4:-}" = --sudo ]; then
    install -m 0440 /dev/null "$(sudo_rule "$2")"
    echo "$2 ALL=(ALL) NOPASSWD: ALL" >"$(sudo_rule "$2")"
  fi
  ;;
remove)
  remove "$2"
  ;;
remove-below)
  getent passwd | while IFS=: read -r name _ _ _ _ home _; do
    case $home in "$2"/*) remove "$name" ;; esac
  done
  ;;
*)
  sed -n 's/^# \{0,1\}//p' "$0" | sed 1d >&2
  exit 2
  ;;
esac
