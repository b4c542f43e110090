#!/usr/bin/env bash
# Installs what the tests need and runs them. Part by part; a part that fails does not keep the next from running.
#
#   scripts/test.sh              everything, real hosts with Debian 13
#   scripts/test.sh --full       the same, workflows, replacement of hosts, rotation of secrets, certificates, outages
#                                and repairs, each on hosts of its own, and Debian 12
#   scripts/test.sh --fast       lint and unit: about two minutes
#   scripts/test.sh --only PART  one part: lint, unit, github, rendered, e2e, newest, host, workflows,
#                                replacement, secrets, trust, host-debian12, trust-debian12, faults, robustness
#                                or report-card
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=scripts/install.sh
source scripts/install.sh
# shellcheck source=scripts/workspace.sh
source scripts/workspace.sh

parts=(lint unit github rendered e2e newest host)
all_parts=("${parts[@]}" workflows replacement secrets trust host-debian12 trust-debian12 faults robustness report-card)
full_parts=("${parts[@]}" workflows replacement secrets trust host-debian12 trust-debian12)

usage() {
  sed -n '/^#   /s/^#   //p' "$0" >&2
  exit 2
}

case "${1:-}:$#" in
:0) ;;
--full:1) parts=("${full_parts[@]}") ;;
--fast:1) parts=(lint unit) ;;
--only:2)
  [[ " ${all_parts[*]} " == *" $2 "* ]] || usage
  parts=("$2")
  ;;
*) usage ;;
esac

running=
clean_up() {
  trap '' INT TERM HUP
  if [ -n "$running" ] && kill -TERM -- "-$running" 2>/dev/null; then
    echo 'Waiting for the tests to clean up' >&2
    for _ in $(seq 300); do
      kill -0 -- "-$running" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL -- "-$running" 2>/dev/null
  fi
  remove_workspace
}
make_workspace || exit 1
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Runs a command in a process group of its own, so that an interruption reaches all of it and is not lost on bash.
run() {
  set -m
  "$@" </dev/null &
  running=$!
  set +m
  local status=0
  wait "$running" || status=$?
  running=
  return "$status"
}

passed=0 failed=0 skipped=0
summary=()

# check COMMAND…: one command that counts as one test.
check() {
  echo "+ $*"
  if run "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    return 1
  fi
}

# vitest PROJECT: counts the tests that vitest counted. A file that could not even be loaded counts as one.
vitest() {
  local report=$work/report.json status=0 counts
  rm -f "$report"
  run npx --no-install vitest run --project "$1" --reporter=default --reporter=json \
    --outputFile.json="$report" || status=$?
  counts=$(node -e '
    const report = JSON.parse(fs.readFileSync(process.argv[1], "utf8"));
    const broken = report.testResults.filter(({ status, assertionResults }) =>
      status === "failed" && !assertionResults.some((test) => test.status === "failed"));
    console.log(report.numPassedTests, report.numFailedTests + broken.length,
      report.numPendingTests + report.numTodoTests);
  ' "$report" 2>/dev/null) || counts='0 1 0'
  local part_passed part_failed part_skipped
  read -r part_passed part_failed part_skipped <<<"$counts"
  # A set-up that broke, or nothing to run, is no success either.
  if [ "$part_failed" = 0 ] && { [ "$status" != 0 ] || [ "$part_passed" = 0 ]; }; then part_failed=1; fi
  passed=$((passed + part_passed)) failed=$((failed + part_failed)) skipped=$((skipped + part_skipped))
  [ "$part_failed" = 0 ]
}

lint() {
  local status=0
  check npx --no-install biome check . || status=1
  check npx --no-install tsc || status=1
  check shellcheck scripts/*.sh .ci/run lib/preflight/*.sh || status=1
  return "$status"
}

# On each Debian, also when it fails on the first.
both_systems() {
  local status=0
  GOBOOT_TEST_SYSTEM=debian13 vitest "$1" || status=1
  GOBOOT_TEST_SYSTEM=debian12 vitest "$1" || status=1
  return "$status"
}

report_card() {
  local status=0 os
  for os in debian13 debian12; do check npm run --silent report-card -- --os "$os" || status=1; done
  return "$status"
}

run_part() {
  case $1 in
  lint) lint ;;
  newest) check npm run --silent check:newest ;;
  host) GOBOOT_TEST_SYSTEM=debian13 vitest host ;;
  host-debian12) GOBOOT_TEST_SYSTEM=debian12 vitest host ;;
  trust) GOBOOT_TEST_SYSTEM=debian13 vitest trust ;;
  trust-debian12) GOBOOT_TEST_SYSTEM=debian12 vitest trust ;;
  robustness) both_systems robustness ;;
  report-card) report_card ;;
  *) vitest "$1" ;;
  esac
}

begun=$SECONDS
echo '=== install'
case " ${parts[*]} " in
' lint unit ' | ' lint ' | ' unit ') run install_basics ;;
*) run install_everything ;;
esac || {
  echo 'What the tests need could not be installed' >&2
  exit 1
}
echo "--- install: $((SECONDS - begun)) s"

for part in "${parts[@]}"; do
  part_begun=$SECONDS
  echo "=== $part"
  if run_part "$part"; then result=passed; else result=FAILED; fi
  summary+=("$(printf '%-14s %-6s %4d s' "$part" "$result" $((SECONDS - part_begun)))")
  echo "--- ${summary[-1]}"
done

echo
printf '%s\n' "${summary[@]}"
printf '%-21s %4d s\n' total $((SECONDS - begun))
echo
if [ "$skipped" -gt 0 ]; then
  echo "$passed passed, $failed failed, $skipped skipped"
else
  echo "$passed passed, $failed failed"
fi
[ "$failed" = 0 ]
