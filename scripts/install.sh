#!/usr/bin/env bash
# Installs what the tests and the main job need and is not there yet. Sourced by the other scripts, or run by itself.
#
# Everything that is not a package of the system goes into the clone: node_modules/ and .tools/.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=$repository/.tools
export PATH=$tools/uv/bin:$PATH

# The Node that the packed generator is run on besides the one at hand.
newer_node=24

basic_packages=(ca-certificates git openssh-client python3-venv shellcheck)
all_packages=(
  "${basic_packages[@]}"
  sudo tmux                                   # normal users, and terminals to type into
  mmdebstrap debian-archive-keyring           # throwaway hosts: making their image
  systemd-container iproute2 nftables         # throwaway hosts: booting it, its network
  openssl                                     # certificates
  gh                                          # GitHub's own client, against the server that stands in for GitHub
  jq                                          # what the workflows find on GitHub's machines
  chromium fonts-dejavu-core                  # looking at pages
  postgresql rabbitmq-server memcached        # services for the tests of a rendered project
  restic                                      # backups
)

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_system_packages() {
  local package missing=()
  if ! command -v apt-get >/dev/null; then
    echo "There is no apt-get here. What is needed, by the names of Debian's packages: $*" >&2
    return
  fi
  for package in "$@"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
      missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "Installing ${missing[*]}"
  # The tests start the services that they need; none is to start here by itself, which policy-rc.d prevents.
  # shellcheck disable=SC2016
  as_root bash -c '
    set -e
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
      trap "rm -f $policy" EXIT
      printf "#!/bin/sh\nexit 101\n" >"$policy"
      chmod 755 "$policy"
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update
    apt-get -qq install --yes --no-install-recommends "$@" >/dev/null
  ' bash "${missing[@]}"
}

install_node_packages() {
  # npm writes this file at the end of an installation; a link is another clone's and up to date by its own care.
  local installed=$repository/node_modules/.package-lock.json
  if [ -L "$repository/node_modules" ] || [ "$installed" -nt "$repository/package-lock.json" ]; then return 0; fi
  echo 'Installing the packages of package-lock.json'
  (cd "$repository" && npm ci --no-audit --no-fund --loglevel=error)
}

install_uv() {
  [ -x "$tools/uv/bin/uv" ] && return 0
  echo 'Installing uv'
  # The system's Python: one that a version manager keeps in somebody's home directory is of no use to other users.
  local python=/usr/bin/python3
  [ -x "$python" ] || python=python3
  "$python" -m venv "$tools/uv" && "$tools/uv/bin/python" -m pip install --quiet uv
}

install_newer_node() {
  local package=$tools/node/node_modules/node
  [ -x "$package/bin/node" ] && return 0
  echo "Installing Node $newer_node"
  # npm may be set up to run no installation scripts, so this one, which fetches the program, is run by hand.
  mkdir -p "$tools/node" &&
    npm install --prefix "$tools/node" --no-save --ignore-scripts --no-audit --no-fund --loglevel=error \
      "node@$newer_node" &&
    (cd "$package" && node installArchSpecificPackage.js >/dev/null)
}

install_everything() {
  install_system_packages "${all_packages[@]}" && install_node_packages && install_uv && install_newer_node
}

install_basics() {
  install_system_packages "${basic_packages[@]}" && install_node_packages && install_uv
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  set -euo pipefail
  install_everything
fi
