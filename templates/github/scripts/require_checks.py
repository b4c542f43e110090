#!/usr/bin/env python3
"""
Waits until workflows have passed for a commit, and fails if one has not: `require_checks.py REF WORKFLOW…`

The commit that REF names now goes to the output `commit`, so that what was tested is what is deployed.
"""

import os
import sys
import time

from github import PAUSE_SECONDS, GitHubError, annotate, quoted, request, write_to

# How long a workflow may take to begin, and to end. A push and a release often come at the same moment.
SECONDS_TO_BEGIN = float(os.environ.get("SECONDS_TO_BEGIN", "90"))
SECONDS_TO_END = 20 * 60


def commit_of(reference):
    """The full id of what a branch, a tag or the beginning of an id names. Raises GitHubError."""
    try:
        return request("GET", f"commits/{quoted(reference)}")["sha"]
    except GitHubError as error:
        if error.status in (404, 422):
            raise GitHubError(f"There is no branch, tag or commit {reference}") from None
        raise


def newest_run(workflow, commit):
    """The newest run of a workflow for a commit, or None. Runs that were cancelled or skipped say nothing."""
    answer = request("GET", f"actions/workflows/{quoted(workflow)}/runs?head_sha={commit}&per_page=50")
    runs = [run for run in answer["workflow_runs"] if run["conclusion"] not in ("cancelled", "skipped")]
    return max(runs, key=lambda run: run["id"], default=None)


def wait_for(workflow, commit, started):
    """Returns why the commit must not be deployed, or None when the workflow has passed."""
    while True:
        run, waited = newest_run(workflow, commit), time.monotonic() - started
        if run and run["status"] == "completed":
            if run["conclusion"] == "success":
                print(f"{workflow} has passed: {run['html_url']}", flush=True)
                return None
            return f"{workflow} has ended with {run['conclusion']} for {commit[:8]}: {run['html_url']}"
        if not run and waited > SECONDS_TO_BEGIN:
            return (
                f"{workflow} has not run for {commit[:8]}. Start it where that commit is the newest one: "
                f"gh workflow run {workflow} --ref BRANCH"
            )
        if waited > SECONDS_TO_END:
            return f"{workflow} has not ended for {commit[:8]}: {run['html_url']}"
        time.sleep(PAUSE_SECONDS)


def main(reference, workflows):
    """Returns the exit status."""
    try:
        commit = commit_of(reference)
        write_to("GITHUB_OUTPUT", f"commit={commit}")
        started = time.monotonic()
        problems = [problem for each in workflows if (problem := wait_for(each, commit, started))]
    except GitHubError as error:
        problems = [str(error)]
    for problem in problems:
        annotate("error", problem)
        write_to("GITHUB_STEP_SUMMARY", f"Not deployed: {problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
