#!/usr/bin/env python3
"""Keeps one comment of pull request $PULL_REQUEST with the plan of $ENVIRONMENT, if there is a plan."""

import os
import sys
from pathlib import Path

from github import GitHubError, annotate, request

MARK = f"<!-- plan of {os.environ['ENVIRONMENT']} -->"


def earlier_comment(number):
    """The comment of a run before, or None."""
    for page in range(1, 11):
        comments = request("GET", f"issues/{number}/comments?per_page=100&page={page}")
        for comment in comments:
            if comment["body"].startswith(MARK):
                return comment
        if len(comments) < 100:
            break
    return None


def main():
    """Returns the exit status."""
    plan, number = Path(os.environ["RUNNER_TEMP"], "plan.md"), os.environ["PULL_REQUEST"]
    if not plan.exists():
        print("There is no plan.")
        return 0
    content = {"body": f"{MARK}\n{plan.read_text(encoding='utf-8')}"}
    try:
        earlier = earlier_comment(number)
        if earlier:
            request("PATCH", f"issues/comments/{earlier['id']}", content)
        else:
            request("POST", f"issues/{number}/comments", content)
    except GitHubError as error:
        annotate("error", f"The plan could not be shown in the pull request: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
