"""
Judges a plan of migrations: could code that does not know them live with the database that they make?

`judge(plan, state, connection)` takes what Django's own executor plans. For each operation it
compares the tables and columns of Django's migration state before and after, so it sees what an
operation does and not only what it is called. It asks the database nothing.
"""

import re

OFTEN_A_RENAME = "renames {old} to {new}"
REMOVE_LATER = (
    "first release code whose models no longer have it (SeparateDatabaseAndState with the removal in "
    "state_operations), and remove it from the database in a later release"
)
ADD_FIRST = "add the new one beside it, copy, let a release use both, and remove the old one later"
GIVE_DEFAULT = "give the field null=True or db_default, and change that in a later release"
CONVERT_LATER = "add a column of the new kind beside it, copy, and remove the old one in a later release"


def judge(plan, state, connection):
    """
    What code from before the plan could not live with (`stops`), and what nobody can tell from the
    outside (`warnings`). Each is a dictionary: migration, operation, target, reason and remedy.

    `plan` is a list of (migration, backwards) as MigrationExecutor.migration_plan returns it;
    `state` is the ProjectState before it, which this changes.
    """
    judgement = Judgement(connection)
    for migration, _ in plan:
        judgement.migration = f"{migration.app_label}.{migration.name}"
        for operation in migration.operations:
            judgement.apply(operation, migration.app_label, state)
    return {"stops": judgement.stops, "warnings": judgement.warnings}


class Judgement:
    """The findings so far, and which tables and columns the old code does not know."""

    def __init__(self, connection):
        self.connection = connection
        self.migration = ""
        self.stops, self.warnings = [], []
        self.new_tables, self.new_columns = set(), set()

    def note(self, findings, operation, target, reason, remedy):
        """Adds a finding."""
        findings.append(
            {
                "migration": self.migration,
                "operation": type(operation).__name__,
                "target": target,
                "reason": reason,
                "remedy": remedy,
            }
        )

    def apply(self, operation, app_label, state):
        """Judges one operation and moves the state on."""
        from django.db.migrations import operations

        if isinstance(operation, operations.SeparateDatabaseAndState):
            # What it does to the database and what models are told differ; only the former matters.
            database_state = state.clone()
            for database_operation in operation.database_operations:
                self.apply(database_operation, app_label, database_state)
            operation.state_forwards(app_label, state)
        elif isinstance(operation, (operations.RunSQL, operations.RunPython)):
            self.apply_code(operation)
            operation.state_forwards(app_label, state)
        elif isinstance(operation, (operations.AlterModelOptions, operations.AlterModelManagers)):
            operation.state_forwards(app_label, state)
        else:
            before = self.schema(state)
            operation.state_forwards(app_label, state)
            self.compare(operation, before, self.schema(state))
            self.apply_constraint(operation, app_label, state)
            if not type(operation).__module__.startswith("django."):
                self.note(
                    self.warnings,
                    operation,
                    app_label,
                    "is not one of Django's operations, so nobody can tell what it does",
                    "make sure that the running release can live with it",
                )

    def apply_code(self, operation):
        """SQL and Python may do anything. One that says that it is elidable only prepares data."""
        nothing = (getattr(operation, "sql", None), getattr(operation, "code", None)) in (
            ("", None),
            (None, type(operation).noop),
        )
        if not operation.elidable and not nothing:
            self.note(
                self.warnings,
                operation,
                "",
                "may do anything to the database, so it cannot be judged",
                "make sure that the running release can live with it",
            )

    def apply_constraint(self, operation, app_label, state):
        """The old code may write what a new constraint refuses."""
        from django.db.migrations import operations

        model_name = getattr(operation, "model_name", getattr(operation, "name", "")).lower()
        if isinstance(operation, operations.AddConstraint):
            what = f"constraint {operation.constraint.name}"
        elif isinstance(operation, operations.AlterUniqueTogether) and operation.option_value:
            what = "unique " + ", ".join(
                f"({', '.join(names)})" for names in sorted(map(tuple, operation.option_value))
            )
        else:
            return
        table = state.apps.get_model(app_label, model_name)._meta.db_table
        if table not in self.new_tables:
            self.note(
                self.warnings,
                operation,
                table,
                f"adds {what}: what the running release writes may be refused",
                "make sure that the running release keeps to it already",
            )

    def schema(self, state):
        """The tables of a state, each with its columns."""
        tables = {}
        for model in state.apps.get_models(include_auto_created=True, include_swapped=False):
            options = model._meta
            if options.managed and not options.proxy:
                fields = [field for field in options.local_concrete_fields if field.column]
                tables[options.db_table] = {field.column: self.column(field) for field in fields}
        return tables

    def column(self, field):
        """What matters of a column."""
        from django.db.models import NOT_PROVIDED

        parameters = field.db_parameters(connection=self.connection)
        constrained = field.remote_field is not None and getattr(field, "db_constraint", False)
        return {
            "type": parameters["type"] or "",
            "check": parameters.get("check") or "",
            "null": field.null,
            "generated": getattr(field, "generated", False),
            # The database fills in what an INSERT leaves out.
            "default": getattr(field, "db_default", NOT_PROVIDED) is not NOT_PROVIDED
            or getattr(field, "generated", False)
            or bool(getattr(field, "db_returning", False)),
            "unique": field.unique,
            "references": field.remote_field.model._meta.db_table if constrained else "",
        }

    def compare(self, operation, before, after):
        """Notes what the old code notices of the change from one schema to another."""
        gone = [table for table in before if table not in after]
        fresh = [table for table in after if table not in before]
        for table in gone:
            if table in self.new_tables:
                continue
            if len(gone) == len(fresh):
                reason = OFTEN_A_RENAME.format(old=f"table {table}", new=fresh[gone.index(table)])
                self.note(
                    self.stops, operation, table, f"{reason}, and the running release uses it", ADD_FIRST
                )
            else:
                self.note(
                    self.stops,
                    operation,
                    table,
                    "removes the table, and the running release uses it",
                    REMOVE_LATER,
                )
        self.new_tables.update(fresh)
        for table, columns in after.items():
            if table not in self.new_tables and table in before and columns != before[table]:
                self.compare_table(operation, table, before[table], columns)

    def compare_table(self, operation, table, before, after):
        """The same for the columns of a table that the old code uses."""
        gone = [column for column in before if column not in after]
        fresh = [column for column in after if column not in before]
        renamed = dict(zip(gone, fresh, strict=True)) if len(gone) == len(fresh) else {}
        for column in gone:
            if (table, column) in self.new_columns:
                continue
            target = f"{table}.{column}"
            if column in renamed:
                reason = OFTEN_A_RENAME.format(old=f"column {column}", new=renamed[column])
                remedy = ADD_FIRST
            else:
                reason, remedy = "removes the column", REMOVE_LATER
            self.note(
                self.stops,
                operation,
                target,
                f"{reason}, and the running release reads and writes it",
                remedy,
            )
        for column in fresh:
            self.new_columns.add((table, column))
            # One under a new name is as full as it was.
            if column not in renamed.values():
                self.judge_new(operation, f"{table}.{column}", after[column])
        for column, changed in after.items():
            if column in before and changed != before[column]:
                known = (table, column) not in self.new_columns
                self.judge_changed(operation, f"{table}.{column}", before[column], changed, known)

    def judge_new(self, operation, target, column):
        """A column that the old code does not fill in."""
        if not column["null"] and not column["default"]:
            self.note(
                self.stops,
                operation,
                target,
                "adds a column that must have a value, and the running release inserts rows without one "
                "(Django removes a default= from the database again)",
                GIVE_DEFAULT,
            )

    def judge_changed(self, operation, target, before, after, known):
        """A column that is not what it was. `known` tells whether the old code uses it."""
        if before["null"] and not after["null"] and (known or not after["default"]):
            uses = "may write it" if known else "inserts rows without a value"
            reason = f"refuses NULL from now on, and the running release {uses}"
            remedy = "let a release write a value first, and refuse NULL in a later one"
            self.note(self.stops, operation, target, reason, remedy)
        elif before["default"] and not after["default"] and not after["null"]:
            reason = "loses its default in the database, and the running release may rely on it"
            self.note(self.stops, operation, target, reason, "remove the default in a later release")
        if not known:
            return
        if before["generated"] != after["generated"] or not fits(before["type"], after["type"]):
            change = f"changes from {before['type']} to {after['type']}"
            reason = f"{change}, and what the running release writes may not fit"
            self.note(self.stops, operation, target, reason, CONVERT_LATER)
        if after["references"] and before["references"] not in ("", after["references"]):
            reason = f"refers to {after['references']} instead of {before['references']}"
            self.note(self.stops, operation, target, reason, CONVERT_LATER)
        for name, what in (
            ("unique", "becomes unique"),
            ("check", "gets a check"),
            ("references", "gets a foreign key"),
        ):
            if after[name] and not before[name]:
                reason = f"{what}: what the running release writes may be refused"
                remedy = "make sure that the running release keeps to it already"
                self.note(self.warnings, operation, target, reason, remedy)


# Each holds every value of those before it.
WIDER = (
    ("smallint", "integer", "bigint"),
    ("smallserial", "serial", "bigserial"),
    ("real", "double precision"),
    ("json", "jsonb"),
)


def fits(old, new):
    """Whether every value of an old type of column can be written to, and read as, a new one."""
    old, new = old.lower(), new.lower()
    if old == new:
        return True
    for order in WIDER:
        if old in order and new in order:
            return order.index(old) <= order.index(new)
    old_name, *old_sizes = re.findall(r"[a-z ]+[a-z]|\d+", old)
    new_name, *new_sizes = re.findall(r"[a-z ]+[a-z]|\d+", new)
    old_sizes, new_sizes = list(map(int, old_sizes)), list(map(int, new_sizes))
    texts = ("varchar", "character varying", "text")
    if old_name in texts and new_name in texts:
        return not new_sizes or (bool(old_sizes) and old_sizes[0] <= new_sizes[0])
    if old_name == new_name == "numeric" and len(old_sizes) == len(new_sizes) == 2:
        whole = old_sizes[0] - old_sizes[1] <= new_sizes[0] - new_sizes[1]
        return whole and old_sizes[1] <= new_sizes[1]
    return False
