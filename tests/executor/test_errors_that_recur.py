"""What would be met again each time is not repeated, and what seems to pass is not repeated without end."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from importlib.util import find_spec
from uuid import UUID

import pytest
from django.db import DatabaseError, InterfaceError, connection, transaction

from django_scheduler import Context, ctx, mutation
from django_scheduler.errors import ArgumentsTooLarge, TransientError
from django_scheduler.executor.poller import Until
from django_scheduler.models import Failure, ScheduledFunction, State
from django_scheduler.record import is_same
from django_scheduler.signals import function_finished
from tests.functions import write
from tests.models import Entry
from tests.support.records import record

SOON = {"BACKOFF_INITIAL": timedelta(milliseconds=1)}

attempts: list[str] = []


@pytest.fixture(autouse=True)
def _attempts_from_none(settings):
    attempts.clear()
    settings.DJANGO_SCHEDULER = SOON


def execute_sql(*statements: str) -> None:
    with connection.cursor() as cursor:
        for sql in statements:
            cursor.execute(sql)


def read_closed_cursor() -> None:
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    cursor.close()
    cursor.fetchone()


def execute_in_closed_cursor() -> None:
    cursor = connection.cursor()
    cursor.close()
    cursor.execute("SELECT 1")


def send_too_many_parameters() -> None:
    numbers = [1] * (300_000 if connection.vendor == "sqlite" else 70_000)
    sql = f"SELECT 1 WHERE 1 IN ({', '.join(['%s'] * len(numbers))})"
    if connection.vendor == "sqlite":
        connection.cursor().execute(sql, numbers)
        return
    # Bound by the server, as with Django's OPTIONS={"server_side_binding": True}.
    import psycopg

    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(sql, numbers)


def idle_for_too_long() -> None:
    execute_sql("SET LOCAL idle_in_transaction_session_timeout = 50")
    time.sleep(0.3)
    execute_sql("SELECT 1")


def execute_for_too_long() -> None:
    execute_sql("SET LOCAL statement_timeout = 50", "SELECT pg_sleep(10)")


def write_too_many_temporary_files() -> None:
    execute_sql(
        "SET LOCAL work_mem = '64kB'",
        "SET LOCAL temp_file_limit = '64kB'",
        "SELECT * FROM generate_series(1, 100000) AS n ORDER BY -n",
    )


def send(mebibytes: int) -> Callable[[], None]:
    def send_it() -> None:
        connection.cursor().execute("SELECT LENGTH(%s)", ["x" * (mebibytes * 1024 * 1024)])

    return send_it


WAYS: dict[str, Callable[[], None]] = {
    "read a closed cursor": read_closed_cursor,
    "execute in a closed cursor": execute_in_closed_cursor,
}
if connection.vendor == "sqlite" or (connection.vendor == "postgresql" and find_spec("psycopg")):
    WAYS["too many parameters"] = send_too_many_parameters
if connection.vendor == "postgresql":
    WAYS["idle_in_transaction_session_timeout"] = idle_for_too_long
    WAYS["statement_timeout"] = execute_for_too_long
    WAYS["temp_file_limit"] = write_too_many_temporary_files
if connection.vendor == "mysql":
    WAYS["packet that is too large"] = send(17)
    WAYS["packet that is far too large"] = send(40)


@mutation(alone=True)
def meet_what_recurs(ctx: Context, *, way: str, swallows: bool) -> None:
    attempts.append(way)
    Entry.objects.create(label="before")
    if swallows:
        with suppress(DatabaseError, InterfaceError, TypeError), transaction.atomic():
            WAYS[way]()
        Entry.objects.create(label="after")
    else:
        WAYS[way]()


@pytest.mark.parametrize("way", WAYS)
def test_error_that_would_be_met_again_is_final(execute_due, way):
    function_id = ctx.scheduler.run_after(0, meet_what_recurs, way=way, swallows=False)
    other_id = ctx.scheduler.run_after(0, write, label="other")

    execute_due(Until.NOTHING_PENDING)

    row = record(function_id)
    assert (row.state, row.failure, row.attempts) == (State.FAILED, Failure.ERROR, 1)
    assert len(attempts) == 1
    assert record(other_id).state == State.SUCCESS
    assert [entry.label for entry in Entry.objects.all()] == ["other"]


@pytest.mark.parametrize("way", WAYS)
def test_error_that_would_be_met_again_is_final_or_harmless_where_the_body_catches_it(execute_due, way):
    function_id = ctx.scheduler.run_after(0, meet_what_recurs, way=way, swallows=True)

    execute_due(Until.NOTHING_PENDING)

    row = record(function_id)
    assert row.attempts == 1
    if row.state == State.SUCCESS:
        assert [entry.label for entry in Entry.objects.all()] == ["before", "after"]
    else:  # the server has ended the session
        assert (row.state, row.failure) == (State.FAILED, Failure.ERROR)
        assert way in (
            "idle_in_transaction_session_timeout",
            "packet that is too large",
            "packet that is far too large",
        )
        assert not Entry.objects.exists()


@mutation
def fill_the_disk(ctx: Context) -> None:
    attempts.append("full")
    if len(attempts) == 1:
        with connection.cursor() as cursor:
            pages = cursor.execute("PRAGMA page_count").fetchone()[0]
            cursor.execute(f"PRAGMA max_page_count = {pages}")
        while True:  # the file may have many pages that are free, from tests before
            Entry.objects.bulk_create([Entry(label="x" * 1_000_000) for _ in range(10)])


@pytest.mark.only_on("sqlite")
def test_mutation_that_meets_a_full_disk_is_repeated(execute_due):
    function_id = ctx.scheduler.run_after(0, fill_the_disk)

    execute_due(Until.NOTHING_PENDING)

    row = record(function_id)
    assert (row.state, row.attempts) == (State.SUCCESS, 2)
    assert not Entry.objects.exists()


@mutation
def wait_for_a_thread_that_writes(ctx: Context) -> None:
    def write_elsewhere() -> None:
        try:
            execute_sql("PRAGMA busy_timeout = 10", "UPDATE tests_entry SET label = 'elsewhere'")
        finally:
            connection.close()

    attempts.append("begun")
    Entry.objects.create(label="own")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(write_elsewhere).result()


@pytest.mark.only_on("sqlite")
def test_mutation_that_waits_for_a_thread_that_waits_for_it_is_not_repeated(execute_due):
    function_id = ctx.scheduler.run_after(0, wait_for_a_thread_that_writes)

    execute_due()

    row = record(function_id)
    assert (row.state, row.failure, attempts) == (State.FAILED, Failure.ERROR, ["begun"])
    assert "Another connection has waited for the transaction" in row.traceback
    assert not Entry.objects.exists()


@pytest.mark.only_on("mysql")
@pytest.mark.parametrize("text", ["x" * (16 * 1024 * 1024 - 1000), '"' * (6 * 1024 * 1024)])
def test_arguments_that_the_database_would_refuse_are_too_large_and_the_transaction_goes_on(transactional_db, text):
    with transaction.atomic():
        Entry.objects.create(label="before")
        with pytest.raises(ArgumentsTooLarge, match=r"tests:write was not scheduled: .* \(max_allowed_packet\)"):
            ctx.scheduler.run_after(0, write, label=text)

    assert Entry.objects.count() == 1
    assert not ScheduledFunction.objects.exists()


@mutation
def ask_for_retries(ctx: Context, *, reasons: list[str]) -> None:
    attempts.append("again")
    if len(attempts) <= len(reasons):
        raise TransientError(reasons[len(attempts) - 1])


def test_mutation_that_meets_the_same_error_again_and_again_fails(execute_due, settings, caplog):
    settings.DJANGO_SCHEDULER = {**SOON, "MAX_SAME_ERRORS": 3}
    of_no_digits = "cafeabcd-beef-4fed-abba-deadbeefcafe"  # in most of its parts
    lockers = [of_no_digits if number % 2 else str(UUID(int=number)) for number in range(10)]
    reasons = ["another one", *(f"order {number} is locked by {locker}" for number, locker in enumerate(lockers))]
    function_id = ctx.scheduler.run_after(0, ask_for_retries, reasons=reasons)
    failures = []

    def note(failure, **_):
        failures.append(failure)

    function_finished.connect(note)
    try:
        execute_due(Until.NOTHING_PENDING)
    finally:
        function_finished.disconnect(note)

    row = record(function_id)
    assert (row.state, row.failure, row.attempts, row.same_errors) == (State.FAILED, Failure.TRANSIENT, 4, 3)
    assert row.error.startswith("TransientError: order 2 is locked")
    assert "the same error in 3 attempts in a row" in row.error
    assert "raise TransientError" in row.traceback
    assert "failed (transient, the same error in 3 attempts in a row), took" in caplog.text
    assert failures == ["transient"]


@pytest.mark.parametrize("limit", [3, None])
def test_mutation_that_meets_different_errors_is_repeated(execute_due, settings, limit):
    settings.DJANGO_SCHEDULER = {**SOON, "MAX_SAME_ERRORS": limit}
    reasons = ["one", "one", "two", "two", "one", "one"] if limit else ["one"] * 6
    function_id = ctx.scheduler.run_after(0, ask_for_retries, reasons=reasons)

    execute_due(Until.NOTHING_PENDING)

    assert (record(function_id).state, record(function_id).attempts) == (State.SUCCESS, 7)


def test_mutation_that_may_meet_the_same_error_any_number_of_times_is_repeated(execute_due, settings):
    settings.DJANGO_SCHEDULER = {**SOON, "BACKOFF_MAXIMUM": timedelta(milliseconds=1), "MAX_SAME_ERRORS": None}
    function_id = ctx.scheduler.run_after(0, ask_for_retries, reasons=["one"])
    ScheduledFunction.objects.update(error="TransientError: one", same_errors=32_767)

    execute_due(Until.NOTHING_PENDING)

    assert (record(function_id).state, record(function_id).same_errors) == (State.SUCCESS, 32_768)


def test_errors_that_are_one_long_word_are_compared_by_reading_it_once():
    # By a pattern that goes back in it, this would take longer than any test may.
    assert is_same("a" * 1_000_000, "a" * 1_000_000)
