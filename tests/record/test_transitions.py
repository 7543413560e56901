"""The state machine is what its table says, and nobody else changes a row's state or due time."""

import ast
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from django_scheduler import ctx
from django_scheduler.databases import NOW, database_for
from django_scheduler.models import Failure, Kind, ScheduledFunction, State
from django_scheduler.record import transitions
from django_scheduler.record.transitions import Transition
from tests.functions import write

PACKAGE = Path(transitions.__file__).parent.parent

TRANSITIONS = {name: each for name, each in vars(transitions).items() if isinstance(each, Transition)}

FINISHED = {State.SUCCESS, State.FAILED, State.CANCELED}

#: What of a row the state machine owns.
OWNED = {"state", "due_time"}

#: By which the state machine writes, and nobody else.
WRITERS = {"change", "change_all", "change_unless_held", "change_each"}

#: A value for each column that a transition may write.
VALUES: dict[str, Any] = {
    "absorbed": 1,
    "tenant": "7",
    "args": "{}",
    "attempts": 1,
    "callbacks": None,
    "context": None,
    "crashes": 1,
    "completed_time": NOW,
    "due_time": NOW,
    "error": "e",
    "executor": "x",
    "expires_time": None,
    "handed_over": False,
    "failure": Failure.ERROR,
    "kind": Kind.MUTATION,
    "name": "tests:write",
    "parent_id": None,
    "priority": 0,
    "queue": "default",
    "failures": 1,
    "history": [{"time": "2030-01-01T00:00:00+00:00", "executor": "x", "error": "e"}],
    "result": "1",
    "same_errors": 1,
    "started_time": None,
    "traceback": "t",
    "unknown_since": NOW,
    "unknown_to": "x",
    "waiting_since": NOW,
    "waits_for": "x",
    "in_order_of": "x",
}


def foreign_writes(source: str) -> Iterator[str]:
    """Find the places in a module that change a row's state or due time past the state machine."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr="update" | "update_or_create"), keywords=keywords):
                is_foreign = any(keyword.arg in OWNED for keyword in keywords)
            case ast.Call(func=ast.Attribute(attr="bulk_update" | "bulk_create")):
                is_foreign = any(isinstance(each, ast.Constant) and each.value in OWNED for each in ast.walk(node))
            case ast.Call(func=ast.Attribute(attr=attribute)):
                is_foreign = attribute in WRITERS
            case ast.Assign(targets=[ast.Attribute(attr="due_time")]):
                is_foreign = True
            case ast.Constant(value=str(text)):
                is_foreign = re.search(r"\bUPDATE\b.*\bSET\b.*\b(state|due_time)\b", text, re.DOTALL) is not None
            case _:
                is_foreign = False
        if is_foreign:
            yield ast.unparse(node)


@pytest.mark.parametrize(
    "source",
    [
        "rows.update(state=State.CANCELED)",
        "ScheduledFunction.objects.filter(pk=1).update(attempts=1, due_time=now)",
        "rows.bulk_update(changed, ['due_time'])",
        "database.change(1, {'state': 'failed'}, only_if={})",
        "function.due_time = now",
        "cursor.execute('UPDATE t SET state = 1')",
    ],
)
def test_writing_past_the_state_machine_is_found(source):
    assert list(foreign_writes(source))


def test_nobody_else_changes_a_state_or_a_due_time():
    elsewhere = {
        path
        for path in PACKAGE.rglob("*.py")
        if path != Path(transitions.__file__) and not path.is_relative_to(PACKAGE / "databases")
    }
    others = [f"{path}: {place}" for path in elsewhere for place in foreign_writes(path.read_text())]
    assert not others


def test_only_three_kinds_of_statement_update_the_table():
    updates = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for _ in re.findall(r"UPDATE \{TABLE\}", path.read_text())
    ]
    # One row by its id, and each of several: once for PostgreSQL, once for SQLite, and once for the others. And one for
    # the keys of what has just been inserted, and one for its place in the order of its limit.
    assert sorted(updates) == [
        "databases/key_rows.py",
        "databases/postgresql/bulk.py",
        *["databases/sql.py"] * 3,
        "databases/sqlite.py",
    ]


def test_the_table_that_a_newcomer_reads_is_true():
    rows = re.findall(r"^``([A-Z_]+)``\s{2,}(.+?)\s{2,}(\S+)\s{2,}", transitions.__doc__ or "", re.MULTILINE)
    assert {name: (set(sources.split(", ")), target) for name, sources, target in rows} == {
        name: ({source.value for source in each.sources}, each.target.value) for name, each in TRANSITIONS.items()
    }


def test_what_has_ended_stays_as_it_is():
    assert not [name for name, each in TRANSITIONS.items() if set(each.sources) & FINISHED]
    assert {each.target for each in TRANSITIONS.values() if each.target in FINISHED} == FINISHED


@pytest.mark.parametrize("name", TRANSITIONS)
def test_a_transition_changes_a_row_that_is_where_it_begins_and_no_other(name, transactional_db):
    transition = TRANSITIONS[name]
    changes = {column: VALUES[column] for column in transition.writes}
    ids = ctx.scheduler.run_after_many(60_000, write, [{"label": "x"}] * len(State))
    for function_id, state in zip(ids, State, strict=True):
        rows = ScheduledFunction.objects.filter(pk=function_id)
        rows.update(state=state)
        before = rows.values().get()

        changed = transition.apply_to_rows(database_for("default"), [function_id], changes)

        row = rows.get()
        if state in transition.sources:
            assert (changed, row.state) == (1, transition.target), state
            assert (row.completed_time is not None) == (transition.target in FINISHED), state
        else:
            assert changed == 0, state
            assert rows.values().get() == before, state


def as_driver_takes(value: Any) -> Any:
    return database_for("default").adapted(value) if isinstance(value, datetime) else value


def before_that(value: str | int | datetime) -> object:
    """Return something else than what is on record, of the same type."""
    if isinstance(value, datetime):
        return value - timedelta(seconds=1)
    return "another" if isinstance(value, str) else value - 1


@pytest.mark.parametrize("name", [name for name, each in TRANSITIONS.items() if each.compares])
def test_whoever_has_seen_something_else_changes_nothing(name, transactional_db):
    transition = TRANSITIONS[name]
    function_id = ctx.scheduler.run_after(60_000, write, label="x")
    (source,) = transition.sources
    rows = ScheduledFunction.objects.filter(pk=function_id)
    rows.update(state=source, attempts=3, crashes=3, executor="it")
    changes = {column: VALUES[column] for column in transition.writes if column != "due_time"}
    if "due_time" in transition.writes:
        changes["due_time"] = rows.get().due_time
    seen = {column: getattr(rows.get(), column) for column in transition.compares}
    stale = {column: as_driver_takes(before_that(value)) for column, value in seen.items()}
    seen = {column: as_driver_takes(value) for column, value in seen.items()}
    before = rows.values().get()

    assert not transition.apply(database_for("default"), function_id, changes, seen=stale)
    assert rows.values().get() == before
    assert transition.apply(database_for("default"), function_id, changes, seen=seen)
    assert rows.get().state == transition.target


def test_a_transition_is_given_what_it_writes_and_nothing_else(transactional_db):
    with pytest.raises(AssertionError, match="crashes"):
        transitions.BEGIN.apply(database_for("default"), 1, {"crashes": 1})


RESULTS: list[tuple[str | None, ...]] = [(None, None, None), ("7", "7", "7"), ('{"a": "b\'%s"}', None, "[1, 2.5]")]


@pytest.mark.parametrize("results", RESULTS)
@pytest.mark.parametrize("attempts", [(1, 1, 1), (1, 3, 2)])
def test_successes_are_the_same_alone_and_in_a_group(transactional_db, results, attempts):
    database = database_for("default")
    ids = ctx.scheduler.run_after_many(0, write, [{"label": "x"}] * 6)
    began = database.current_time()

    def later(seconds: float) -> Any:
        return database.adapted(began + timedelta(seconds=seconds))

    own: list[dict[str, Any]] = [
        {
            "attempts": attempts[each],
            "started_time": later(-0.25 * each),
            "completed_time": later(100 * each + 0.000001),
            "result": results[each],
        }
        for each in range(3)
    ]

    for function_id, each in zip(ids[:3], own, strict=True):
        assert transitions.SUCCEED.apply(database, function_id, {**each, "executor": "x"})
    rows = [{"id": function_id, **each} for function_id, each in zip(ids[3:], own, strict=True)]
    assert transitions.SUCCEED.apply_to_each(database, rows, {"executor": "x"}, followed=[])

    columns = ["state", "kind", "attempts", "started_time", "completed_time", "result", "error", "executor"]
    recorded = list(ScheduledFunction.objects.order_by("pk").values(*columns))
    assert recorded[:3] == recorded[3:]
    assert [each["result"] for each in recorded[:3]] == [result and json.loads(result) for result in results]
    assert {(each["state"], each["kind"]) for each in recorded} == {(State.SUCCESS, Kind.MUTATION)}
