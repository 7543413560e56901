"""The tables of this app can be removed and made again, whatever the database."""

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

APP = "django_scheduler"


def tables() -> set[str]:
    with connection.cursor() as cursor:
        return {name for name in connection.introspection.table_names(cursor) if name.startswith(APP)}


def test_every_operation_can_be_reversed():
    migrations = [migration for (app, _), migration in MigrationLoader(None).disk_migrations.items() if app == APP]
    assert migrations
    assert all(operation.reversible for migration in migrations for operation in migration.operations)


@pytest.mark.django_db(transaction=True)
def test_back_to_nothing_and_forth_again():
    before = tables()
    try:
        call_command("migrate", APP, "zero", verbosity=0)
        assert not tables()
    finally:
        call_command("migrate", APP, verbosity=0)
    assert tables() == before
