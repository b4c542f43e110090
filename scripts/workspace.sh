#!/usr/bin/env bash
# A directory for everything temporary of a run, and its removal with all that runs in it. Sourced by other scripts.

# Makes the directory `work` and lets every program put its temporary files there.
make_workspace() {
  work=$(mktemp -d "${TMPDIR:-/tmp}/goboot.XXXXXX") || return 1
  # Parts of it are handed to other users, who must get through.
  chmod 755 "$work"
  export TMPDIR=$work
}

# Ends terminals, removes temporary users with their processes, and removes the directory.
remove_workspace() {
  find "$work" -type s -name tmux -exec tmux -S {} kill-server ';' 2>/dev/null || true
  if [ "$(id -u)" = 0 ]; then "$(dirname "${BASH_SOURCE[0]}")/normal-user.sh" remove-below "$work"; fi
  rm -rf "$work" 2>/dev/null || sudo rm -rf "$work"
}
