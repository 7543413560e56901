"""What waits for a limit costs nobody anything: neither what looks for due functions, nor who takes a slot.

On PostgreSQL. What statements read is counted, with statistics from when nothing waited.
"""

from collections.abc import Callable

import pytest
from django.db import transaction

from django_scheduler import ctx
from django_scheduler.databases import TABLE, Wanted, WantedSlots, database_for, limit_browsing
from tests.databases.test_plans_by_id import no_autovacuum, plan, tell
from tests.databases.test_plans_of_several_lanes import statements_of
from tests.limits import functions

__all__ = ["no_autovacuum"]

pytestmark = [pytest.mark.only_on("postgresql"), pytest.mark.usefixtures("transactional_db", "no_autovacuum")]

#: How many functions wait for each of two limits.
WAITING = 10_000

#: How many blocks a statement may read, of the 500 that those functions fill.
FEW_BLOCKS = 60

SLOTS = "django_scheduler_slot"

#: What is copied of a function.
COLUMNS = (
    "name, kind, args, queue, priority, scheduled_time, creation_time, attempts, failure, error, traceback, executor,"
    " state"
)


def fill(waiting: int) -> None:
    """Have functions of two accounts wait, and some of another one be due."""
    tell(f"TRUNCATE {TABLE} RESTART IDENTITY", f"TRUNCATE {SLOTS}", f"ANALYZE {TABLE}", f"ANALYZE {SLOTS}")
    for account, function in enumerate([functions.write_two, functions.write_one]):
        (template,) = ctx.scheduler.run_after_many(0, function, [{"account": account, "ledger": ""}])
        limit = f"{['two', 'one'][account]} [{account}]"
        tell(
            f"INSERT INTO {TABLE} ({COLUMNS}, due_time, waits_for, waiting_since)"
            f" SELECT {COLUMNS}, '9000-01-01 00:00Z',"
            f" '{limit}', due_time + number * INTERVAL '1 ms'"
            f" FROM {TABLE}, generate_series(1, {waiting}) AS number WHERE id = {template}",
            f"DELETE FROM {TABLE} WHERE id = {template}",
            f"INSERT INTO {SLOTS} (of_limit, number) VALUES ('{limit}', 0), ('{limit}', 1)",
        )
    ctx.scheduler.run_after_many(0, functions.write_two, [{"account": 7, "ledger": ""}] * 10)


def blocks(ask: Callable[[], object]) -> list[int]:
    """Return how many blocks each statement reads."""
    plans = [plan(sql, params) for sql, params in statements_of(ask)]
    return [each["Shared Hit Blocks"] + each["Shared Read Blocks"] for each in plans]


def look_and_claim() -> None:
    database = database_for("default")
    lanes = list(database.lanes())
    assert len(lanes) == 1
    with transaction.atomic():
        assert len(database.claim_in_several(lanes, Wanted(), most=10, of_each=10)) == 10


def take_slots() -> None:
    """Do what those do that begin and that end, and what looks after those that wait."""
    database = database_for("default")
    two, one = WantedSlots("two [0]", "two", 2, 1), WantedSlots("one [1]", "one", 1, 1)
    with transaction.atomic():
        assert database.lock_slots([two, one], [1, 2, 3])
        assert database.take_slot(two, 1, 1, "executor")
        assert database.take_slot(one, 2, 1, "executor")
        for numbers in [{"two [0]": 1}, {"one [1]": 1}, {"two [0]": 2, "one [1]": 1}]:
            assert len(database.lock_waiting_for(numbers)) == sum(numbers.values())
            assert database.count_let_in(numbers) == dict.fromkeys(numbers, 0)
        assert database.held_up(["two [0]", "one [1]"]) == set()
    assert database.limits_waited_for(most=1_000) == ["one [1]", "two [0]"]


def test_look_and_claim_do_not_read_what_waits():
    fill(1)
    before = blocks(look_and_claim)
    fill(WAITING)
    assert max(later - each for each, later in zip(before, blocks(look_and_claim), strict=True)) < 10


def test_who_takes_a_slot_reads_only_the_first_of_those_that_wait():
    fill(WAITING)
    read = blocks(take_slots)
    assert [each for each in read if each > FEW_BLOCKS] == []


def test_of_many_limits_only_the_first_of_those_that_wait_are_read_also_with_fresh_statistics():
    fill(1)
    limits, waiting = 100, 200
    tell(
        f"INSERT INTO {TABLE} ({COLUMNS}, due_time, waits_for, waiting_since)"
        f" SELECT {COLUMNS}, due_time, 'two [' || account || ']', waiting_since + number * INTERVAL '1 ms'"
        f" FROM {TABLE}, generate_series(1, {waiting}) AS number, generate_series(1001, {1000 + limits}) AS account"
        " WHERE waits_for = 'two [0]' ORDER BY number, account",
        f"ANALYZE {TABLE}",
    )
    numbers = {f"two [{account}]": 2 for account in range(1001, 1001 + limits)}

    def look() -> None:
        with transaction.atomic():
            assert len(database_for("default").lock_waiting_for(numbers)) == 2 * limits

    assert max(blocks(look)) < FEW_BLOCKS * limits / 3


def test_limits_that_have_slots_are_found_without_reading_all_slots_of_each():
    tell(
        f"TRUNCATE {SLOTS}",
        f"INSERT INTO {SLOTS} (of_limit, number) SELECT 'bank rate [' || account || ']', number"
        f" FROM generate_series(1, 3) AS account, generate_series(1, {WAITING}) AS number",
        f"ANALYZE {SLOTS}",
    )

    def look() -> None:
        found = limit_browsing.limits_with_slots(database_for("default"), after="bank rate [1]", at_most=200)
        assert list(found) == ["bank rate [2]", "bank rate [3]"]

    assert max(blocks(look)) < FEW_BLOCKS
