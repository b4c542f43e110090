#!/usr/bin/env bash
# Installs what is missing, then does what goboot is for, on this computer alone: the packed generator is installed
# with yo, a normal user scaffolds a project, and a rehearsal puts it live on a throwaway host.
#
#   scripts/main-job.sh [--os debian12|debian13]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/install.sh
source scripts/install.sh
# shellcheck source=scripts/workspace.sh
source scripts/workspace.sh
install_everything
make_workspace
trap remove_workspace EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
node --import tsx scripts/main-job.ts "$@"
