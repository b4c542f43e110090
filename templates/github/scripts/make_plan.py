#!/usr/bin/env python3
"""
Provisions the server of $ENVIRONMENT in check mode, and writes what would change to $RUNNER_TEMP/plan.md and
to the summary of the job.

The playbooks leave secrets out of what they show. What is in the vault is taken out once more, for a comment
is not masked as logs are. Without the secrets that it takes, this says how to set them up, and ends well.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml
from github import REPOSITORY, annotate, write_to

ENVIRONMENT = os.environ["ENVIRONMENT"]
TEMPORARY = Path(os.environ["RUNNER_TEMP"])
ANSIBLE = REPOSITORY / ".ansible"
# The key goes to an agent that ends with its command, and is never written to a file.
WITH_KEY = """
printf '%s\\n' "$PLAN_SSH_KEY" | tr -d '\\r' | ssh-add -q - || exit 100
unset PLAN_SSH_KEY
exec "$@"
"""
BAD_KEY = 100
# A comment has room for 65536 characters.
LONGEST_PLAN = 60_000
MISSING = (
    f"There is no plan of {ENVIRONMENT}: the environment {ENVIRONMENT}-plan has no secrets PLAN_SSH_KEY and "
    'ANSIBLE_VAULT_PASSWORD, or this run may not read them. "Plans" in the README says how.'
)


def main():
    """Returns the exit status."""
    if not (os.environ.get("PLAN_SSH_KEY") and os.environ.get("ANSIBLE_VAULT_PASSWORD")):
        annotate("notice", MISSING)
        write_to("GITHUB_STEP_SUMMARY", MISSING)
        return 0
    # A program in place of a file with the password.
    asks = TEMPORARY / "vault_password"
    asks.write_text("#!/bin/sh\nprintf '%s\\n' \"$ANSIBLE_VAULT_PASSWORD\"\n", encoding="utf-8")
    asks.chmod(0o700)
    environment = {
        **os.environ,
        "ANSIBLE_VAULT_PASSWORD_FILE": str(asks),
        "ANSIBLE_DISPLAY_OK_HOSTS": "no",
        "ANSIBLE_NOCOLOR": "1",
    }
    vault = f"inventory/{ENVIRONMENT}/group_vars/all/vault.yml"
    opened = run(["ansible-vault", "view", vault], environment)
    if opened.returncode != 0:
        return fail("The secret ANSIBLE_VAULT_PASSWORD does not open the vault", "")
    secrets = secret_texts(yaml.safe_load(opened.stdout))
    playbook = ["ansible-playbook", "--inventory", f"inventory/{ENVIRONMENT}", "--check", "--diff"]
    provisioned = run(["ssh-agent", "bash", "-c", WITH_KEY, "-", *playbook, "provision.yml"], environment)
    if provisioned.returncode == BAD_KEY:
        return fail("The secret PLAN_SSH_KEY is no private key without a passphrase", "")
    output = without(secrets, provisioned.stdout + provisioned.stderr)
    if provisioned.returncode != 0:
        return fail(f"Provisioning {ENVIRONMENT} would fail", output)
    changes = sum(map(int, re.findall(r"\bchanged=(\d+)", output)))
    show(f"{changes or 'No'} tasks would change {ENVIRONMENT}", output)
    return 0


def run(words, environment):
    """Runs a program of Ansible where its configuration is."""
    return subprocess.run(words, cwd=ANSIBLE, env=environment, capture_output=True, text=True, check=False)


def secret_texts(value):
    """Every line in the vault that is long enough to be one, the longest first."""
    if isinstance(value, dict):
        found = {text for each in value.values() for text in secret_texts(each)}
    elif isinstance(value, list):
        found = {text for each in value for text in secret_texts(each)}
    else:
        lines = str(value).splitlines()
        found = {line.strip() for line in lines if len(line.strip()) >= 6}
    return sorted(found, key=len, reverse=True)


def without(secrets, text):
    """A text with asterisks in place of secrets."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def show(title, output):
    """Writes the plan to its file and to the summary."""
    kept = output.strip()
    if len(kept) > LONGEST_PLAN:
        kept = f"{kept[:LONGEST_PLAN]}\n… and more: run it on your own computer."
    # Longer than any fence in the output.
    fence = "~" * (max((len(each) for each in re.findall("~+", kept)), default=2) + 1)
    lines = [f"### {title}", ""]
    if kept:
        summary = "<details><summary>What Ansible says</summary>"
        lines += [summary, "", f"{fence}diff", kept, fence, "", "</details>"]
    text = "\n".join(lines)
    (TEMPORARY / "plan.md").write_text(text, encoding="utf-8")
    write_to("GITHUB_STEP_SUMMARY", text)


def fail(title, output):
    """Shows what went wrong, and returns the exit status."""
    annotate("error", title)
    show(title, output)
    return 1


if __name__ == "__main__":
    sys.exit(main())
