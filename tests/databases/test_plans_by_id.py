"""Whatever names functions by their ids reads these rows and no others, whatever the statistics say.

Statements are captured as they are sent. Their plans are read when the table has more than 100,000 rows of one state,
and statistics from when it had none of them.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.admin.filters import Filters
from django_scheduler.databases import TABLE, database_for
from django_scheduler.errors import TransientError
from django_scheduler.executor.heartbeat import Registration
from django_scheduler.executor.recovery import Recovery, record_lost
from django_scheduler.models import Failure, ScheduledFunction, State
from django_scheduler.record import transitions
from django_scheduler.scheduling import cancellation, interventions
from django_scheduler.supervisor.death import record_death
from tests.functions import write
from tests.record.test_transitions import TRANSITIONS, VALUES
from tests.support.in_process import execute_with_one_worker
from tests.support.statements import statements_through

#: The condition of a statement that is about the functions with some ids.
BY_ID = re.compile(r"""\bid["`]? (= %s|IN \(%s|= ANY\((\(SELECT )?%s)""")

Statement = tuple[str, Any]


@mutation
def do_nothing_in_its_turn(ctx: Context) -> None: ...


@mutation
def fail_in_its_turn(ctx: Context) -> None:
    raise ValueError("as it should")


@mutation
def ask_for_another_turn(ctx: Context) -> None:
    if not ScheduledFunction.objects.filter(name="tests:ask_for_another_turn", attempts=1).exists():
        raise TransientError("as it should")


@action
def act_in_its_turn(ctx: Context) -> str:
    ctx.scheduler.run_after(0, do_nothing_in_its_turn)
    return "done"


@action
def fail_to_act(ctx: Context) -> None:
    raise ValueError("as it should")


@contextmanager
def capturing() -> Iterator[list[Statement]]:
    """Note each statement within the block that names functions by their ids."""
    captured: list[Statement] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if TABLE in sql and BY_ID.search(sql):
            captured.append((sql, params[0] if many else params))
        return execute(sql, params, many, context)

    with statements_through(note):
        yield captured


def execute_everything() -> None:
    """Have executions end in every way, and claim one function by its id."""
    for function in (act_in_its_turn, fail_to_act, fail_in_its_turn, ask_for_another_turn, do_nothing_in_its_turn):
        ctx.scheduler.run_after(0, function)
    ctx.scheduler.run_after_many(0, do_nothing_in_its_turn, [{}] * 7)
    execute_with_one_worker()
    with transaction.atomic():
        function_id = ctx.scheduler.run_after(0, act_in_its_turn)
        assert database_for("default").claim_handed_over(function_id)
        database_for("default").claim_again(function_id)


def intervene() -> None:
    """Do all that people do to functions."""
    ids = ctx.scheduler.run_after_many(timedelta(days=1), write, [{"label": "x"}] * 3)
    interventions.reschedule("default", ids, timezone.now() + timedelta(days=2))
    interventions.run_now("default", ids)
    ctx.scheduler.cancel(ids[0])
    cancellation.cancel_each("default", ids[:2])
    ctx.scheduler.cancel_all(write)
    interventions.run_again("default", ids)
    filters = Filters.read({"q": str(ids[0]), "state": "pending"})
    database = database_for("default")
    list(ScheduledFunction.objects.filter(filters.indexed(database) & filters.others(database)))


def lose() -> None:
    """Do what is done about executors that are gone."""
    database = database_for("default")
    mutation_id, *action_ids = ctx.scheduler.run_after_many(timedelta(days=1), write, [{"label": "x"}] * 3)
    for function_id, name in zip(action_ids, ("gone", "nobody"), strict=True):
        tell(f"UPDATE {TABLE} SET state = 'in_progress', executor = '{name}' WHERE id = {function_id}")
    record_death(database, "gone", [mutation_id], "a signal")
    record_lost(database, "gone", "it is gone")
    registration = Registration(database, queues=[], concurrency=1, running=list)
    registration.register()
    recovery = Recovery(database, registration, lambda: None)
    recovery.look()
    recovery.record()
    recovery._seen_since = dict.fromkeys(recovery._seen_since, float("-inf"))
    recovery.look()
    recovery.record()
    registration.unregister()
    ends = ScheduledFunction.objects.filter(executor__in=("gone", "nobody")).values_list("state", "failure")
    assert list(ends) == [(State.FAILED, Failure.LOST)] * 2


def apply_each_transition() -> None:
    """Change a state in every way, of one row and of several."""
    database = database_for("default")
    for transition in TRANSITIONS.values():
        changes = {column: VALUES[column] for column in transition.writes}
        transition.apply_to_rows(database, [1, 2], changes)
        if len(transition.sources) == 1:
            now = database.adapted(database.current_time())
            seen = {column: now if column == "due_time" else VALUES[column] for column in transition.compares}
            transition.apply(database, 1, changes, seen=seen)
            transition.apply(database, 1, changes, seen=seen, unless_held=True)


def succeed_together() -> None:
    """Record groups of several sizes, whose members' values are the same or not."""
    database = database_for("default")
    now = database.current_time()
    for members in (2, 20, 100):
        rows = [
            {
                "id": each,
                "attempts": 1 + each % 2,
                "started_time": database.adapted(now + each * timedelta(milliseconds=1)),
                "completed_time": database.adapted(now),
                "result": str(each) if each % 3 else None,
            }
            for each in range(1, members + 1)
        ]
        transitions.SUCCEED.apply_to_each(database, rows, {"executor": "x"}, followed=[])


@pytest.fixture
def no_autovacuum() -> Iterator[None]:
    """Keep PostgreSQL from gathering statistics by itself."""
    tell(f"ALTER TABLE {TABLE} SET (autovacuum_enabled = false)")
    yield
    tell(f"ALTER TABLE {TABLE} RESET (autovacuum_enabled)", f"TRUNCATE {TABLE}", f"ANALYZE {TABLE}")


def tell(*statements: str) -> None:
    with connection.cursor() as cursor:
        for each in filter(None, statements):
            cursor.execute(each)


def fill(state: State) -> None:
    """Fill the table with rows of this state, of which the statistics know nothing."""
    columns = (
        "name, kind, args, queue, priority, scheduled_time, due_time, creation_time, attempts, failure, error,"
        " traceback, executor, state"
    )
    ctx.scheduler.run_after(timedelta(days=300), write, label="x")
    ScheduledFunction.objects.update(state=State.SUCCESS, executor="x")
    doubled = f"INSERT INTO {TABLE} ({columns}) SELECT {columns} FROM {TABLE}"
    analyzed = "" if connection.vendor == "sqlite" else f"ANALYZE {'TABLE ' * (connection.vendor == 'mysql')}{TABLE}"
    tell(*[doubled] * 17, analyzed, f"UPDATE {TABLE} SET state = '{state.value}'")


def plan(sql: str, params: Any) -> Any:
    explain = {"postgresql": "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)", "sqlite": "EXPLAIN QUERY PLAN"}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"{explain.get(connection.vendor, 'EXPLAIN')} {sql}", params)
        rows = cursor.fetchall()
        transaction.set_rollback(True)
        if connection.vendor == "postgresql":
            return rows[0][0][0]["Plan"]
        return [dict(zip([each[0] for each in cursor.description], row, strict=True)) for row in rows]


def indexes(plan: Any) -> Iterator[str]:
    """Yield the indexes by which a plan of PostgreSQL reads the table."""
    if plan.get("Relation Name") == TABLE and "Scan" in plan["Node Type"] and plan["Node Type"] != "Bitmap Heap Scan":
        yield plan.get("Index Name", plan["Node Type"])
    elif plan["Node Type"] == "Bitmap Index Scan":
        yield plan["Index Name"]
    for each in plan.get("Plans", []):
        yield from indexes(each)


@pytest.fixture
def captured(transactional_db) -> list[Statement]:
    with capturing() as captured:
        execute_everything()
        intervene()
        lose()
        apply_each_transition()
        succeed_together()
    assert len({sql for sql, _ in captured}) > 40
    ScheduledFunction.objects.all().delete()
    return captured


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("state", [State.PENDING, State.IN_PROGRESS])
def test_whatever_names_functions_by_their_ids_reads_them_by_the_primary_key(captured, no_autovacuum, state):
    tell(f"TRUNCATE {TABLE} RESTART IDENTITY")
    fill(state)

    plans = {sql: plan(sql, params) for sql, params in captured}

    assert {sql: found for sql, each in plans.items() if (found := set(indexes(each))) != {f"{TABLE}_pkey"}} == {}
    # All rows of the other indexes would be more than 100,000.
    blocks = {sql: each["Shared Hit Blocks"] + each["Shared Read Blocks"] for sql, each in plans.items()}
    assert {sql: number for sql, number in blocks.items() if number > 10_000} == {}


@pytest.mark.only_on("postgresql")
def test_end_of_a_group_reads_a_table_without_statistics_by_the_primary_key(transactional_db, no_autovacuum):
    tell(f"TRUNCATE {TABLE} RESTART IDENTITY")
    ctx.scheduler.run_after_many(0, write, [{"label": "x"}] * 5_000)  # which could also be read from end to end

    with capturing() as captured:
        succeed_together()

    assert len(captured) == 3
    assert [set(indexes(plan(sql, params))) for sql, params in captured] == [{f"{TABLE}_pkey"}] * 3


@pytest.mark.only_on("mysql")
@pytest.mark.parametrize("state", [State.PENDING, State.IN_PROGRESS])
def test_whatever_names_functions_by_their_ids_reads_them_by_the_primary_key_of_mysql(captured, state):
    fill(state)

    plans = {sql: plan(sql, params) for sql, params in captured}

    keys = {sql: {row["key"] for row in each if row["table"] == TABLE} for sql, each in plans.items()}
    assert {sql: found for sql, found in keys.items() if not found <= {"PRIMARY", None}} == {}
    assert {sql: each for sql, each in plans.items() if any(int(row["rows"] or 0) > 1_000 for row in each)} == {}


@pytest.mark.only_on("mysql")
def test_no_other_rows_of_a_small_table_are_read_and_locked_in_mysql(session):
    """A call with the key of a row that is locked for a moment would take its function for one that has begun."""
    database = database_for("default")
    ids = ctx.scheduler.run_after_many(timedelta(days=1), write, [{"label": "x"}] * 10)
    session.open_transaction()
    session.do(interventions.run_now, "default", ids[:9])
    with capturing() as captured:
        interventions.run_now("default", ids[:9])
        session.roll_back()
        with transaction.atomic():
            database.lock_holders(ids[:9])
        cancellation.cancel_each("default", ids[:9])
    tell(f"ANALYZE TABLE {TABLE}")

    plans = {sql: plan(sql, params) for sql, params in captured if "FOR UPDATE" in sql}

    assert len(plans) >= 3
    assert {sql: each for sql, each in plans.items() if {row["type"] for row in each} != {"range"}} == {}


@pytest.mark.only_on("sqlite")
def test_whatever_names_functions_by_their_ids_reads_them_by_the_primary_key_of_sqlite(captured):
    plans = {sql: [row["detail"] for row in plan(sql, params)] for sql, params in captured}

    found = {sql: [detail for detail in each if TABLE in detail] for sql, each in plans.items()}
    assert all(found.values())
    assert {sql: each for sql, each in found.items() if not all("PRIMARY KEY" in detail for detail in each)} == {}
