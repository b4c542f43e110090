"""What the scripts beside this one say to GitHub: requests to its API, and commands to the runner."""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ATTEMPTS = 4
# Between two looks at something that takes time.
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "10"))
REPOSITORY = Path(__file__).resolve().parents[2]


class GitHubError(Exception):
    """GitHub refused a request, with this status, or could not be reached."""

    status = 0


def request(method, path, content=None):
    """
    Sends a request about this repository and returns what GitHub answers.

    Reading is tried again when GitHub fails or cannot be reached. Raises GitHubError.
    """
    base = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}"
    url = f"{base}/{path}" if path else base
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
        "Content-Type": "application/json",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    body = None if content is None else json.dumps(content).encode()
    attempts = ATTEMPTS if method == "GET" else 1
    for attempt in range(1, attempts + 1):
        try:
            asked = urllib.request.Request(url, data=body, headers=headers, method=method)
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            reason = f"{error.code} {error.reason}"
            if error.code < 500 or attempt == attempts:
                failure = GitHubError(f"GitHub answers {reason} to {method} {path}")
                failure.status = error.code
                raise failure from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            if attempt == attempts:
                raise GitHubError(f"GitHub cannot be reached: {reason}") from None
        time.sleep(attempt * PAUSE_SECONDS / 10)
    return None


def quoted(text):
    """A text as one part of a path."""
    return urllib.parse.quote(text, safe="")


def annotate(level, message, path=None):
    """Shows an error, a warning or a notice at the top of the run, and beside a file of the repository."""
    for character, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        message = message.replace(character, code)
    here = path and Path(path).is_relative_to(REPOSITORY)
    place = f" file={Path(path).relative_to(REPOSITORY)}" if here else ""
    print(f"::{level}{place}::{message}", flush=True)


def write_to(variable, text):
    """Adds a line to one of the runner's files: GITHUB_OUTPUT or GITHUB_STEP_SUMMARY."""
    with Path(os.environ[variable]).open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")
