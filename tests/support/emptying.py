"""The test database is emptied after a test that has committed, as Django does it, but for a fraction of the work.

Django truncates all tables, which takes a database much longer than to delete a few rows, and then makes the content
types and permissions anew. Here only the tables that have rows are emptied, and what ``migrate`` has filled stays.
Where a test has changed just that, Django's way is taken.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.test import TransactionTestCase

#: From so many rows on a table is truncated: PostgreSQL keeps what is deleted until somebody cleans up.
MANY = 1_000

#: What ``migrate`` fills, besides its own table, which no test is to change.
FILLED = ("contenttypes.ContentType", "auth.Permission")


@contextmanager
def quick_emptying(unblock: Any) -> Iterator[None]:
    """Empty the database like this from now on."""
    with unblock():
        emptying = Emptying()
    with pytest.MonkeyPatch.context() as patch:
        django_empties = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]

        def empty(test_case: Any) -> None:
            is_plain = test_case.available_apps is None and not test_case.serialized_rollback
            if not (is_plain and test_case.databases == {connection.alias} and emptying.empty()):
                django_empties(test_case)
                emptying.look_at_what_is_filled()

        patch.setattr(TransactionTestCase, "_fixture_teardown", empty)
        yield


class Emptying:
    def __init__(self) -> None:
        quote = connection.ops.quote_name
        filled = [apps.get_model(name)._meta.db_table for name in FILLED]
        self._tables = sorted(set(connection.introspection.django_table_names(only_existing=True)) - set(filled))
        # One question for all tables.
        self._count_rows = " UNION ALL ".join(
            f"SELECT '{table}', COUNT(*) FROM {quote(table)}" for table in self._tables
        )
        self._look = " UNION ALL ".join(
            f"SELECT COUNT(*), COALESCE(MIN(id), 0), COALESCE(MAX(id), 0) FROM {quote(table)}" for table in filled
        )
        self.look_at_what_is_filled()

    def look_at_what_is_filled(self) -> None:
        self._filled = self._ask(self._look)

    def empty(self) -> bool:
        """Empty the database, and return whether that could be done."""
        if self._ask(self._look) != self._filled:
            return False
        rows = {table: number for table, number in self._ask(self._count_rows) if number}
        if not rows:
            return True
        tables = [connection.ops.quote_name(table) for table in rows]
        if connection.vendor == "postgresql" and max(rows.values()) >= MANY:
            statements = [f"TRUNCATE {', '.join(tables)} CASCADE"]
        else:
            statements = [f"DELETE FROM {table}" for table in tables]
        with connection.constraint_checks_disabled(), transaction.atomic(), connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        return True

    def _ask(self, question: str) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(question)
            return list(cursor.fetchall())
