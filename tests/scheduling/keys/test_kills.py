"""No call is lost, whoever is killed: after each call, the function that it has returned begins once more."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import pytest
from django.db import connections, transaction

from django_scheduler import ctx
from django_scheduler.databases import database_for
from django_scheduler.models import ScheduledFunction, State
from tests.models import Entry
from tests.scheduling.keys.functions import write_or_raise
from tests.support.soak import SOAK, examples
from tests.support.waiting import wait_until

CALLERS, KEYS_OF_EACH = 3, 2
KILLS = examples(2, 3)


@dataclass(frozen=True)
class Call:
    key: str
    number: int
    replaces: bool
    function_id: int
    #: By the clock of the database, before the call.
    time: datetime


@pytest.mark.timeout(120 * SOAK)
def test_after_each_call_its_function_begins_and_nobody_is_lost(executors):
    stopping = threading.Event()
    running = [executors.start(concurrency=2) for _ in range(2)]
    with ThreadPoolExecutor(CALLERS) as threads:
        futures = [threads.submit(call_until, stopping, caller) for caller in range(CALLERS)]
        try:
            for number in range(KILLS):
                wait_for_entries(Entry.objects.count() + 5)
                running[number % 2].kill()
                running[number % 2] = executors.start(concurrency=2)
        finally:
            stopping.set()
        calls = [call for future in futures for call in future.result(60)]
    wait_until(lambda: not ScheduledFunction.objects.filter(state=State.PENDING).exists(), "all ended", timeout=60)
    for process in running:
        process.stop()
    check(calls)


def wait_for_entries(number: int) -> None:
    wait_until(lambda: Entry.objects.count() >= number, "some were executed")


def call_until(stopping: threading.Event, caller: int) -> list[Call]:
    """Call with keys that nobody else uses, so that it is known which call was the last one."""
    calls: list[Call] = []
    database = database_for("default")
    try:
        while not stopping.wait(0.005):  # on SQLite, writers wait for each other in no order
            key = f"{caller} {random.randrange(KEYS_OF_EACH)}"
            replaces, number, before = random.random() < 0.5, len(calls) + 1, database.current_time()
            options = ctx.scheduler.options(key=key, existing="replace" if replaces else "keep")
            label = f"{key} {number}"
            delay = random.choice([0, 0, 20])
            fails = random.random() < 0.3
            is_lost = random.random() < 0.1
            with transaction.atomic():
                function_id = options.run_after(delay, write_or_raise, label=label, fails=fails)
                if random.random() < 0.1:
                    time.sleep(0.02)
                transaction.set_rollback(is_lost)
            if not is_lost:
                calls.append(Call(key, number, replaces, function_id, before))
    finally:
        connections.close_all()
    return calls


def check(calls: list[Call]) -> None:
    rows = ScheduledFunction.objects.in_bulk()
    assert set(rows) == {call.function_id for call in calls}
    assert len(calls) > len(rows)  # some were taken in
    for call in calls:
        row = rows[call.function_id]
        assert row.key == call.key
        assert row.state in (State.SUCCESS, State.FAILED)
        assert row.started_time is not None
        assert row.started_time >= call.time, f"{call} was taken in by {row}, which had begun"
        if call.replaces:
            assert int(row.args["label"].split()[-1]) >= call.number
    # What is on record is what was executed, and exactly once.
    written = dict(Entry.objects.values_list("function_id", "label"))
    assert len(written) == Entry.objects.count()
    assert written == {pk: row.args["label"] for pk, row in rows.items() if row.state == State.SUCCESS}
