"""What the ORM compiles is known to read and write rows only, and whatever is not known may do anything."""

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models import (
    Avg,
    BooleanField,
    Case,
    CharField,
    Count,
    DateField,
    DateTimeField,
    DecimalField,
    Exists,
    F,
    FloatField,
    IntegerField,
    JSONField,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    StdDev,
    Sum,
    TextField,
    TimeField,
    UUIDField,
    Value,
    Variance,
    When,
    Window,
    functions,
)

from django_scheduler.databases.session_guard import SessionGuard
from django_scheduler.databases.statements import Reach, examine
from tests.models import Entry, Line

pytestmark = pytest.mark.django_db

TIME = Value(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), output_field=DateTimeField())

#: One of these fits each of Django's functions.
ARGUMENTS: list[tuple[Any, ...]] = [
    *[
        ("id",),
        ("label",),
        (TIME,),
        ("id", "id"),
        ("label", "id"),
        ("label", "label"),
        ("label", Value("a"), Value("b")),
    ],
    *[("label", "id", Value("x")), ("label", "id", "id"), ("label", 3), ()],
]
FIELDS = [None, CharField(), DateTimeField(), DateField()]

LOOKUPS = [
    *["exact", "iexact", "contains", "icontains", "startswith", "istartswith", "endswith", "iendswith", "regex"],
    *["iregex", "gt", "gte", "lt", "lte", "in", "range", "isnull"],
]


def compiled(rows: QuerySet[Any, Any]) -> str:
    sql: str = rows.query.get_compiler(connection.alias).as_sql()[0]
    return sql


def uses_of(name: str) -> Iterator[str]:
    """Yield the SQL of the function with all arguments that it takes."""
    for arguments in ARGUMENTS:
        for field in FIELDS:
            options = {} if field is None else {"output_field": field}
            try:
                yield compiled(Entry.objects.annotate(x=getattr(functions, name)(*arguments, **options)).values("x"))
            except Exception:  # these do not fit
                continue


@pytest.mark.parametrize("name", sorted(set(functions.__all__) - {"Cast", "Collate", "Extract", "Trunc"}))
def test_function_of_django_is_known(name):
    uses = list(uses_of(name))

    assert uses or name in ("UUID4", "UUID7"), f"give {name} arguments"
    for sql in uses:
        statement = examine(sql, connection.vendor)
        assert statement.reach is Reach.ROWS, sql
        assert "tests_entry" in statement.names


KINDS = ["year", "quarter", "month", "week", "day", "hour", "minute", "second"]
TYPES = [
    *[CharField(max_length=3), IntegerField(), DateTimeField(), DateField(), TimeField(), JSONField(), TextField()],
    *[DecimalField(max_digits=5, decimal_places=2), BooleanField(), FloatField(), UUIDField()],
]

QUERIES: dict[str, Any] = {
    **{f"extract {kind}": lambda kind=kind: {"x": functions.Extract(TIME, kind)} for kind in KINDS},
    **{f"trunc {kind}": lambda kind=kind: {"x": functions.Trunc(TIME, kind)} for kind in KINDS},
    **{f"cast to {type(each).__name__}": lambda each=each: {"x": functions.Cast("label", each)} for each in TYPES},
    **{each.__name__: lambda each=each: {"x": each("id", filter=Q(id__gt=3))} for each in (Count, Sum, Avg, Max, Min)},
    "StdDev": lambda: {"x": StdDev("id")},
    "Variance": lambda: {"x": Variance("id")},
    "window": lambda: {"x": Window(functions.RowNumber(), partition_by="label", order_by="id")},
    "exists": lambda: {"x": Exists(Line.objects.filter(entry=OuterRef("pk")))},
    "case": lambda: {"x": Case(When(id=1, then=Value(2)), default=Value(3))},
    "arithmetic": lambda: {"x": (F("id") % 2 + 3 * F("id")).bitand(7)},
}


@pytest.mark.parametrize("name", QUERIES)
def test_query_of_the_orm_is_known(name):
    sql = compiled(Entry.objects.values("label").annotate(**QUERIES[name]()))

    assert examine(sql, connection.vendor).reach is Reach.ROWS, sql


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_lookup_of_the_orm_is_known(lookup):
    value = {"in": ["a", "b"], "range": ["a", "b"], "isnull": True}.get(lookup, "a")
    sql = compiled(Entry.objects.filter(**{f"label__{lookup}": value}).order_by(F("label").desc(nulls_last=True)))

    assert examine(sql, connection.vendor).reach is Reach.ROWS, sql


KNOWN = [
    "INSERT INTO tests_entry (label, executor) VALUES (%s, %s)",
    "INSERT INTO tests_entry (label) SELECT label FROM tests_entry WHERE id IN (1, 2)",
    "UPDATE tests_entry SET label = label WHERE id = %(id)s AND NOT (label = 'it''s')",
    "WITH x AS (SELECT id FROM tests_entry) SELECT COUNT(*) FROM x",
    "SELECT coalesce(max(id), 0) FROM tests_entry",
    "SELECT ST_Distance(place, %s) FROM tests_entry",
    "SAVEPOINT s1_x1",
    "RELEASE SAVEPOINT s1_x1",
    "ROLLBACK TO SAVEPOINT s1_x1",
]


@pytest.mark.parametrize("sql", KNOWN)
def test_statement_that_is_written_by_hand_in_the_same_words_is_known(sql):
    assert examine(sql, connection.vendor).reach is Reach.ROWS


UNKNOWN = [
    "COMMIT",
    "ROLLBACK",
    "BEGIN",
    "(COMMIT)",
    "SELECT 1; COMMIT; SELECT 1",
    "-- a comment\nSELECT 1",
    "SELECT 1 /* a comment */",
    "SELECT /*! 1 */",
    "SELECT anything(1)",
    "SELECT a.anything(1)",
    'SELECT "anything"(1)',
    "SELECT `anything`(1)",
    "SELECT anything (1)",
    "SELECT anything\n(1)",
    "SELECT id FROM anything(1)",
    "SELECT st_set_tenant(1)",
    "WITH x AS (SELECT anything(1)) SELECT * FROM x",
    "INSERT INTO t (a) VALUES (anything(1))",
    "SELECT 1 INTO x",
    "SELECT id INTO OUTFILE 'x' FROM t",
    "SELECT 'a\\'b', anything(1), 'c'",
    "SELECT $$a$$",
    "SELECT @a := 1",
    "UPDATE pg_settings SET setting = 1",
    "SET x = 1",
    "CALL anything()",
    "DO $$ BEGIN END $$",
    "COPY t FROM STDIN",
    "TRUNCATE t",
    "EXECUTE prepared",
    "SELECT U&'a' UESCAPE '!', \x00",
    """SELECT U&"any!0074hing" UESCAPE '!' (1)""",
    "SELECT [anything](1)",
    "SELECT 1 AS replace INTO x",
]


@pytest.mark.parametrize("sql", UNKNOWN)
def test_whatever_is_not_known_may_do_anything(sql):
    assert examine(sql, connection.vendor).reach is Reach.SESSION


@pytest.mark.only_on("postgresql")
def test_backticks_are_operators_and_hide_nothing():
    assert examine("SELECT 'a' ` anything() ` 'b'", "postgresql").reach is Reach.SESSION


CALLS_OF_PARAMETERS = [
    "SELECT anything(%s, %s), 1",
    "SELECT anything( %s), 1",
    "INSERT INTO t (a, b) VALUES (anything(%s, %s), %s)",
    "SELECT 1 AS %s, anything(1)",
]


@pytest.mark.parametrize("sql", CALLS_OF_PARAMETERS)
def test_call_of_parameters_is_seen_by_the_guard_too(sql):
    guard = SessionGuard(connection.vendor)

    guard.let_pass(sql)

    assert not guard.is_plain


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize(
    "sql",
    [
        "SET LOCAL statement_timeout = 1",
        "SET CONSTRAINTS ALL IMMEDIATE",
        "SELECT set_config('a.b', %s, true)",
        "SELECT pg_advisory_xact_lock(1)",
        "SELECT pg_notify('a', '')",
        "NOTIFY a",
        "LOCK TABLE tests_entry IN EXCLUSIVE MODE",
        "SELECT pg_current_xact_id()",
        "SELECT CURRENT_TIMESTAMP, now()",
        "SELECT set_config('a.b', '1', true); INSERT INTO t (a) VALUES (1)",
    ],
)
def test_what_ends_with_the_transaction_is_known(sql):
    assert examine(sql, "postgresql").reach is Reach.TRANSACTION


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("last", ["false", "%s", "'true'", "NOT false", "true AND false", "anything()"])
def test_setting_is_local_only_if_that_is_written_there(last):
    assert examine(f"SELECT set_config('a.b', '1', {last})", "postgresql").reach is Reach.SESSION
