#!/usr/bin/env python3
"""
Fails if the database has to be changed in a way that what runs now could not live with: `check_migrations.py`

The database is the one of the settings, with the migrations of what runs now. The rules are those of a
deploy, so a pull request learns here, before it is merged, for what reason it would stop.
"""

import inspect
import sys
from pathlib import Path

from github import annotate, write_to

PROJECT = Path(__file__).resolve().parents[2]
RULES = PROJECT / ".ansible/roles/application/files/release/scripts"


def main():
    """Returns the exit status."""
    sys.path[:0] = [str(PROJECT), str(RULES)]
    import django

    django.setup()
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor
    from release_compatibility import judge

    executor = MigrationExecutor(connection)
    loader = executor.loader
    plan = executor.migration_plan(loader.graph.leaf_nodes())
    applied = [node for node in loader.applied_migrations if node in loader.graph.nodes]
    judgement = judge(plan, loader.project_state(applied), connection)
    files = {f"{each.app_label}.{each.name}": inspect.getfile(type(each)) for each, _ in plan}
    print(f"{len(plan)} new migrations: {', '.join(files) or 'none'}")
    for level, findings in (("error", judgement["stops"]), ("warning", judgement["warnings"])):
        for finding in findings:
            target = f" {finding['target']}" if finding["target"] else ""
            message = f"{finding['migration']}, {finding['operation']}{target}: {finding['reason']}."
            message = f"{message} Instead: {finding['remedy']}."
            annotate(level, message, files[finding["migration"]])
            write_to("GITHUB_STEP_SUMMARY", f"- {level}: {message}")
    return 1 if judgement["stops"] else 0


if __name__ == "__main__":
    sys.exit(main())
