"""
Answers the questions about a release in one process, because importing a project takes longer than
answering any of them: is it well configured, what are its static files, which migrations are
pending, and could the release that runs (`running` is its id, or empty) live with these.

Static files and their manifest go to a directory that the site's user may write; the release itself
belongs to root.
"""

import io
import json
import sys
from pathlib import Path

from release_compatibility import judge

staging, result_file, running = sys.argv[1:]
sys.path.insert(0, str(Path.cwd()))
result = {"stage": "import"}


def main():
    """Notes in `result` how far it comes and what it finds. Raises what the project raises."""
    import django

    django.setup()
    from django.conf import settings

    settings.STATIC_ROOT = str(Path(staging, "static"))
    from django.contrib.staticfiles.storage import staticfiles_storage
    from django.core import checks
    from django.core.files.storage import FileSystemStorage
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    result["stage"] = "check --deploy"
    found = checks.run_checks(include_deployment_checks=True, databases=["default"])
    found = [message for message in found if not message.is_silenced()]
    result["errors"] = [str(message) for message in found if message.is_serious()]
    result["warnings"] = [str(message) for message in found if not message.is_serious()]
    if result["errors"]:
        return

    result["stage"] = "collectstatic"
    staticfiles_storage.manifest_storage = FileSystemStorage(location=staging)
    call_command("collectstatic", interactive=False, verbosity=0, stdout=io.StringIO())

    result["stage"] = "pending migrations"
    executor = MigrationExecutor(connection)
    conflicts = executor.loader.detect_conflicts()
    if conflicts:
        names = "; ".join(f"{app}: {', '.join(found)}" for app, found in conflicts.items())
        result["errors"] = [f"conflicting migrations ({names}): run makemigrations --merge"]
        return
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    result["pending"] = [f"{migration.app_label}.{migration.name}" for migration, _ in plan]
    result["not_atomic"] = [f"{each.app_label}.{each.name}" for each, _ in plan if not each.atomic]
    result["judgement"] = {"stops": [], "warnings": []}
    if running and plan:
        graph = executor.loader.graph
        applied = [node for node in executor.loader.applied_migrations if node in graph.nodes]
        result["judgement"] = judge(plan, executor.loader.project_state(applied), connection)
    result["stage"] = "done"


try:
    main()
finally:
    # Whoever waits for it must not see a part of it.
    unfinished = Path(f"{result_file}.new")
    unfinished.write_text(json.dumps(result))
    unfinished.rename(result_file)
