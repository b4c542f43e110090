#!/usr/bin/env bash
# Has the server of an environment do $ACTION, and tells what it answers: in the log, in the job's summary and, if it
# fails, as an error. The account there is "deploy", which can run the release command of the site and nothing else.
set -euo pipefail

scripts=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=/dev/null
source "$scripts/connect.sh"

wait_for_others=(--wait 900)
case $ACTION in
  deploy)
    commit=$(git -C release rev-parse HEAD)
    # Tells the server whether it was provisioned from these files.
    provisioned=$(
      cd release/.ansible
      git ls-files -s -- provision.yml group_vars plugins roles "inventory/$ENVIRONMENT" | git hash-object --stdin
    )
    words=(deploy --archive - --commit "$commit" --provisioned "$provisioned" "${wait_for_others[@]}")
    [ "${ALLOW_INCOMPATIBLE_MIGRATIONS:-}" = true ] && words+=(--allow-incompatible-migrations)
    ;;
  'roll back') words=(rollback ${RELEASE:+"$RELEASE"} "${wait_for_others[@]}") ;;
  'maintenance on') words=(maintenance on ${MESSAGE:+--message "$MESSAGE"}) ;;
  'maintenance off') words=(maintenance off) ;;
  'back up') words=(backup) ;;
  check) words=(report) ;;
  *)
    echo "::error::There is no action \"$ACTION\""
    exit 1
    ;;
esac
[ "$ACTION" = check ] || words+=(--by "$GITHUB_ACTOR")

# The server reads the command as a shell would read its words.
command=
for word in "${words[@]}" --json; do command+=" '${word//\'/\'\\\'\'}'"; done

archive() {
  if [ "$ACTION" = deploy ]; then git -C release archive --format=tar.gz "$commit"; fi
}
# What is wrong with a server is its owners' business, and everybody can read the log of a public repository.
log() {
  if [ "$ACTION" = check ]; then cat > /dev/null; else cat; fi
}
answer=$RUNNER_TEMP/answer.jsonl
status=0
archive | ssh -F "$RUNNER_TEMP/ssh_config" "$SITE" "${command# }" 2> "$RUNNER_TEMP/ssh.log" | tee "$answer" | log ||
  status=$?
cat "$RUNNER_TEMP/ssh.log" >&2

# What the server has answered, as Markdown. Its own words are not.
jq --raw-output --slurp --from-file "$scripts/summary.jq" "$answer" >> "$GITHUB_STEP_SUMMARY"
if [ "$status" -ne 0 ]; then
  reason=$(jq --raw-output --slurp 'map(select(.event == "result"))[-1].message // empty' "$answer")
  reason=${reason:-The server did not answer: $(tail -n 1 "$RUNNER_TEMP/ssh.log")}
  [ -s "$answer" ] || echo "$reason" >> "$GITHUB_STEP_SUMMARY"
  echo "reason=${reason//[$'\r\n']/ }" >> "$GITHUB_OUTPUT"
  reason=${reason//'%'/%25} reason=${reason//$'\r'/%0D} reason=${reason//$'\n'/%0A}
  echo "::error::$reason"
  exit 1
fi
