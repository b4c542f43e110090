"""The command check_services."""

import json

from django.core.management.base import BaseCommand, CommandError, CommandParser

from pages import services


class Command(BaseCommand):
    """Prove that every service does its work: exit status 0, or 1 when one of them fails."""

    help = "Sends a row through the database, a value through the cache and a task through the worker."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument(
            "--timeout",
            type=float,
            default=20,
            metavar="SECONDS",
            help="how long to wait for the worker (default: %(default)s)",
        )

    def handle(self, *args, **options) -> None:
        """Run all checks, also when one has failed."""
        results = {
            "database": services.measure(services.database_keeps_a_row),
            "cache": services.measure(services.cache_keeps_a_value),
            "tasks": services.measure(lambda: services.task_comes_back(options["timeout"])),
        }
        if options["json"]:
            self.stdout.write(json.dumps({name: result.as_dict() for name, result in results.items()}))
        else:
            for name, result in results.items():
                word = self.style.SUCCESS("ok    ") if result.ok else self.style.ERROR("failed")
                self.stdout.write(f"{name:<9} {word} {result.seconds:6.3f} s  {result.detail}")
        failed = [name for name, result in results.items() if not result.ok]
        if failed:
            raise CommandError(f"failed: {', '.join(failed)}")
