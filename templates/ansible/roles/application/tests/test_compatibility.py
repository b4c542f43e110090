"""What the release that runs cannot live with, judged by Django's own migration state."""

import importlib.util
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1] / "files/release/scripts"
# The project's lock file installs it; the system's Python has none.
DJANGO = importlib.util.find_spec("django") is not None

if DJANGO:
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            INSTALLED_APPS=["django.contrib.contenttypes"],
            DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "shop"}},
            DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        )
        django.setup()
    from django.db import connection, models
    from django.db.migrations import Migration, operations
    from django.db.migrations.state import ProjectState


def load():
    """The module, as a release's Python gets it: from its text."""
    specification = importlib.util.spec_from_file_location(
        "compatibility", SCRIPTS / "release_compatibility.py"
    )
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


compatibility = load()


class TypesTest(unittest.TestCase):
    def test_which_types_hold_the_values_of_others(self):
        for old, new, expected in (
            ("integer", "integer", True),
            ("integer", "bigint", True),
            ("bigint", "integer", False),
            ("varchar(10)", "varchar(20)", True),
            ("varchar(20)", "varchar(10)", False),
            ("varchar(10)", "text", True),
            ("varchar(10)", "varchar", True),
            ("varchar", "varchar(10)", False),
            ("text", "varchar(10)", False),
            ("numeric(6, 2)", "numeric(8, 2)", True),
            ("numeric(6, 2)", "numeric(6, 3)", False),
            ("numeric(6, 2)", "numeric(5, 2)", False),
            ("timestamp with time zone", "date", False),
            ("integer", "varchar(10)", False),
            ("boolean", "integer", False),
        ):
            with self.subTest(old=old, new=new):
                self.assertEqual(compatibility.fits(old, new), expected)


@unittest.skipUnless(DJANGO, "Django is not installed for this Python: the project's own Python runs these")
class JudgeTest(unittest.TestCase):
    def setUp(self):
        self.state = ProjectState()
        for operation in (
            operations.CreateModel("Tag", [("id", models.BigAutoField(primary_key=True))]),
            operations.CreateModel("Label", [("id", models.BigAutoField(primary_key=True))]),
            operations.CreateModel(
                "Item",
                [
                    ("id", models.BigAutoField(primary_key=True)),
                    ("name", models.CharField(max_length=50)),
                    ("note", models.TextField(null=True)),
                    ("count", models.IntegerField(db_default=0)),
                    ("tag", models.ForeignKey("shop.Tag", models.CASCADE)),
                    ("tags", models.ManyToManyField("shop.Tag", related_name="many")),
                ],
            ),
            operations.CreateModel(
                "Plain", [("id", models.BigAutoField(primary_key=True))], options={"db_table": "plain"}
            ),
        ):
            operation.state_forwards("shop", self.state)

    def judge(self, *done):
        """The findings about a migration: target and reason of each stop, then of each warning."""
        migration = Migration("0002_change", "shop")
        migration.operations = list(done)
        judged = compatibility.judge([(migration, False)], self.state, connection)
        for finding in judged["stops"] + judged["warnings"]:
            self.assertEqual(finding["migration"], "shop.0002_change")
            self.assertTrue(finding["remedy"])
        return [
            [(finding["target"], finding["reason"]) for finding in judged[kind]]
            for kind in ("stops", "warnings")
        ]

    def assert_stops(self, target, reason, *done):
        stops, _ = self.judge(*done)
        self.assertEqual([found for found, _ in stops], [target])
        self.assertIn(reason, stops[0][1])

    def assert_warns(self, target, reason, *done):
        stops, warnings = self.judge(*done)
        self.assertEqual((stops, [found for found, _ in warnings]), ([], [target]))
        self.assertIn(reason, warnings[0][1])

    def assert_safe(self, *done):
        self.assertEqual(self.judge(*done), [[], []])

    def add(self, field, name="price"):
        return operations.AddField("Item", name, field)

    def alter(self, field, name="name"):
        return operations.AlterField("Item", name, field)

    # Stops

    def test_a_removed_field(self):
        self.assert_stops("shop_item.note", "removes the column", operations.RemoveField("Item", "note"))

    def test_a_removed_foreign_key(self):
        self.assert_stops("shop_item.tag_id", "removes the column", operations.RemoveField("Item", "tag"))

    def test_a_removed_many_to_many(self):
        self.assert_stops("shop_item_tags", "removes the table", operations.RemoveField("Item", "tags"))

    def test_a_renamed_field(self):
        self.assert_stops(
            "shop_item.note",
            "renames column note to remark",
            operations.RenameField("Item", "note", "remark"),
        )

    def test_a_renamed_model(self):
        stops, _ = self.judge(operations.RenameModel("Item", "Article"))
        self.assertIn(
            ("shop_item", "renames table shop_item to shop_article, and the running release uses it"), stops
        )
        self.assertEqual({target for target, _ in stops}, {"shop_item", "shop_item_tags"})

    def test_a_deleted_model(self):
        self.assert_stops("plain", "removes the table", operations.DeleteModel("Plain"))

    def test_another_table(self):
        self.assert_stops(
            "plain", "renames table plain to other", operations.AlterModelTable("Plain", "other")
        )

    def test_another_column(self):
        self.assert_stops(
            "shop_item.name",
            "renames column name to title",
            self.alter(models.CharField(max_length=50, db_column="title")),
        )

    def test_a_new_field_that_must_have_a_value(self):
        self.assert_stops("shop_item.price", "must have a value", self.add(models.IntegerField(default=0)))
        self.assert_stops(
            "shop_item.label_id",
            "must have a value",
            self.add(models.ForeignKey("shop.Label", models.CASCADE, default=1), "label"),
        )

    def test_an_order_column(self):
        self.assert_stops(
            "shop_item._order", "must have a value", operations.AlterOrderWithRespectTo("Item", "tag")
        )

    def test_null_that_is_refused(self):
        self.assert_stops("shop_item.note", "refuses NULL", self.alter(models.TextField(default=""), "note"))
        self.setUp()
        self.assert_stops(
            "shop_item.note", "refuses NULL", self.alter(models.TextField(db_default=""), "note")
        )

    def test_a_default_that_goes(self):
        self.assert_stops(
            "shop_item.count", "loses its default", self.alter(models.IntegerField(default=0), "count")
        )

    def test_a_narrower_type(self):
        self.assert_stops(
            "shop_item.name", "from varchar(50) to varchar(20)", self.alter(models.CharField(max_length=20))
        )
        self.setUp()
        self.assert_stops("shop_item.name", "from varchar(50) to integer", self.alter(models.IntegerField()))

    def test_a_reference_to_another_table(self):
        self.assert_stops(
            "shop_item.tag_id", "refers to shop_label instead of shop_tag",
            self.alter(models.ForeignKey("shop.Label", models.CASCADE), "tag"),
        )  # fmt: skip

    def test_all_of_them_are_named(self):
        stops, _ = self.judge(operations.RemoveField("Item", "note"), operations.DeleteModel("Plain"))
        self.assertEqual([target for target, _ in stops], ["shop_item.note", "plain"])

    def test_a_column_that_is_filled_and_then_closed_in_the_same_release(self):
        self.assert_stops(
            "shop_item.price",
            "refuses NULL",
            self.add(models.IntegerField(null=True)),
            self.alter(models.IntegerField(), "price"),
        )

    # Warnings

    def test_code_cannot_be_judged(self):
        for operation in (operations.RunSQL("drop table x"), operations.RunPython(print)):
            self.assert_warns("", "cannot be judged", operation)
        self.assert_safe(
            operations.RunSQL("select 1", elidable=True), operations.RunPython(operations.RunPython.noop)
        )
        self.assert_safe(operations.RunSQL(operations.RunSQL.noop))

    def test_constraints(self):
        self.assert_warns(
            "shop_item", "adds constraint named",
            operations.AddConstraint("Item", models.UniqueConstraint(fields=["name"], name="named")),
        )  # fmt: skip
        self.assert_warns(
            "shop_item", "unique (name, note)", operations.AlterUniqueTogether("Item", {("name", "note")})
        )
        self.assert_warns(
            "shop_item.name", "becomes unique", self.alter(models.CharField(max_length=50, unique=True))
        )
        self.assert_warns(
            "shop_item.count", "gets a check", self.alter(models.PositiveIntegerField(db_default=0), "count")
        )

    # Safe

    def test_what_the_old_code_does_not_notice(self):
        self.assert_safe(
            self.add(models.IntegerField(null=True)),
            self.add(models.IntegerField(db_default=1), "size"),
            self.add(models.ManyToManyField("shop.Label"), "labels"),
            self.add(
                models.GeneratedField(
                    expression=models.F("count") + 1, output_field=models.IntegerField(), db_persist=True
                ),
                "more",
            ),
            self.alter(models.CharField(max_length=80)),
            self.alter(models.BigIntegerField(db_default=0), "count"),
            operations.CreateModel("New", [("id", models.BigAutoField(primary_key=True))]),
            operations.AddIndex("Item", models.Index(fields=["name"], name="by_name")),
            operations.RemoveIndex("Item", "by_name"),
            operations.AlterModelOptions("Item", {"ordering": ["name"]}),
            operations.RenameModel("Plain", "Bare"),
        )  # fmt: skip

    def test_what_the_same_plan_has_made(self):
        self.assert_safe(
            operations.CreateModel(
                "New", [("id", models.BigAutoField(primary_key=True)), ("old", models.IntegerField())]
            ),
            operations.AddField("New", "size", models.IntegerField(default=1)),
            operations.AddConstraint("New", models.UniqueConstraint(fields=["size"], name="one")),
            operations.RenameField("New", "old", "older"),
            operations.RemoveField("New", "older"),
            operations.RenameModel("New", "Newer"),
            operations.DeleteModel("Newer"),
            self.add(models.IntegerField(null=True)),
            operations.RenameField("Item", "price", "cost"),
            operations.RemoveField("Item", "cost"),
        )  # fmt: skip

    def test_state_without_database_and_the_other_way_round(self):
        remove = operations.RemoveField("Item", "note")
        self.assert_safe(operations.SeparateDatabaseAndState(state_operations=[remove]))
        self.setUp()
        self.assert_stops(
            "shop_item.note",
            "removes the column",
            operations.SeparateDatabaseAndState(database_operations=[remove]),
        )

    def test_models_without_a_table(self):
        create = operations.CreateModel(
            "View", [("id", models.BigAutoField(primary_key=True))], options={"managed": False}
        )
        self.assert_safe(create, operations.DeleteModel("View"))
