#!/usr/bin/env python3
"""
Keeps one issue about what the server of $SITE reports: opens it, updates it, and closes it when all is well.

What the server has answered is in $RUNNER_TEMP/answer.jsonl; $REASON says why it has not. In a public
repository the issue does not say what is wrong, only that something is.
"""

import json
import os
import sys
from pathlib import Path

from github import GitHubError, annotate, request, write_to

SITE = os.environ["SITE"]
TITLE = f"{SITE} needs attention"


def report():
    """What the server has answered: what is wrong, and figures."""
    answer = Path(os.environ["RUNNER_TEMP"], "answer.jsonl")
    lines = answer.read_text(encoding="utf-8").splitlines() if answer.exists() else []
    for event in map(json.loads, lines):
        if event.get("event") == "report":
            return event["problems"], event["figures"]
    reason = os.environ.get("REASON") or "the log of the run says why"
    return [f"the server could not be asked: {reason}"], []


def open_issue():
    """The issue that a run before has opened, or None."""
    for page in range(1, 11):
        issues = request("GET", f"issues?state=open&per_page=100&page={page}")
        for issue in issues:
            if issue["title"] == TITLE and "pull_request" not in issue:
                return issue
        if len(issues) < 100:
            break
    return None


def text_of(problems, figures):
    """The text of the issue."""
    repository = os.environ["GITHUB_REPOSITORY"]
    run = f"{os.environ['GITHUB_SERVER_URL']}/{repository}/actions/runs/{os.environ['GITHUB_RUN_ID']}"
    if not request("GET", "")["private"]:
        problems, figures = [f"on the server, `sudo {SITE}-release report` says what is wrong"], []
    return "\n".join(
        [
            f"The check of {SITE} has found something:",
            "",
            *(f"- {problem}" for problem in problems),
            "",
            *(f"    {figure}" for figure in figures),
            *([""] if figures else []),
            f"Found by [this run]({run}). The next one updates this issue, and closes it when all is well.",
        ]
    )


def main():
    """Returns the exit status: 1 if somebody has to look."""
    try:
        problems, figures = report()
        issue = open_issue()
        if not problems:
            if issue:
                closed = {"state": "closed", "state_reason": "completed"}
                request("PATCH", f"issues/{issue['number']}", closed)
            write_to("GITHUB_STEP_SUMMARY", f"All is well with {SITE}.")
            return 0
        content = {"title": TITLE, "body": text_of(problems, figures)}
        if issue:
            issue = request("PATCH", f"issues/{issue['number']}", content)
        else:
            issue = request("POST", "issues", content)
        write_to("GITHUB_STEP_SUMMARY", f"{SITE} needs attention: {issue['html_url']}")
        annotate("error", f"{SITE} needs attention: {issue['html_url']}")
    except GitHubError as error:
        annotate("error", f"The issue about {SITE} could not be brought up to date: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
