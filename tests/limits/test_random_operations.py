"""Whatever happens to functions and executors: no limit is exceeded, as a ledger outside the database says."""

import os
import random
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.errors import AlreadyFinished, AlreadyStarted
from django_scheduler.executor.heartbeat import is_alive
from django_scheduler.functions import Function
from django_scheduler.models import UNFINISHED, Executor, Failure, ScheduledFunction, State
from tests.limits import functions
from tests.limits.body_ledger import BodyLedger
from tests.models import Entry
from tests.support.soak import IS_SOAK, SOAK, examples
from tests.support.waiting import wait_until

#: How many functions there are of each account and limit, how many operations there are, and how many of them kill.
FUNCTIONS, OPERATIONS, KILLS = examples(20, 200), examples(60, 300), examples(3, 10)

ACCOUNTS = range(3)

#: An account all of whose slots are taken the whole time.
STUCK = 99

Functions = Sequence[Function[..., Any]]

TWO = [functions.write_two, functions.send_two, functions.send_two_again]
ONE = [functions.write_one, functions.send_one]

#: Which functions there are, and how many of them run at once.
VARIANTS = {"two at once": (TWO, 2), "one at once": (ONE, 1)}
if IS_SOAK:
    VARIANTS |= {"mutations": (TWO[:1], 2), "actions": (TWO[1:], 2)}


@pytest.fixture
def body_ledger(transactional_db, tmp_path):
    return BodyLedger(str(tmp_path / "bodies"))


class Operations:
    """Does something to functions and executors, at random."""

    def __init__(self, ledger: BodyLedger, ids: Iterable[int]) -> None:
        self._ledger = ledger
        self._ids = list(ids)
        #: Those whose place in the order of due times is another one now.
        self.moved: set[int] = set()

    def kill(self) -> None:
        on_record = Executor.objects.values_list("process_id", "process_start")
        alive = [process_id for process_id, start in on_record if is_alive(process_id, start)]
        if alive:
            victim = random.choice(alive)
            self._ledger.kill(victim)
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)

    def cancel(self) -> None:
        self._cancel(random.choice(self._ids))

    def cancel_what_runs(self) -> None:
        running = set(self._ledger.running).intersection(self._ids)
        if running:
            self._cancel(random.choice(list(running)))

    def _cancel(self, function_id: int) -> None:
        with suppress(AlreadyFinished):
            ctx.scheduler.cancel(function_id)

    def reschedule(self) -> None:
        when = timezone.now() + timedelta(seconds=random.uniform(0, 0.5))
        self._move(lambda function_id: ctx.scheduler.reschedule(function_id, when))

    def run_now(self) -> None:
        self._move(ctx.scheduler.run_now)

    def _move(self, move: Callable[[int], None]) -> None:
        function_id = random.choice(self._ids)
        with suppress(AlreadyFinished, AlreadyStarted):
            move(function_id)
            self.moved.add(function_id)

    def all(self) -> None:
        others = [self.cancel, self.cancel_what_runs, self.cancel_what_runs, self.reschedule, self.run_now]
        chosen = [self.kill] * KILLS + random.choices(others, k=OPERATIONS - KILLS)
        for number, operation in enumerate(random.sample(chosen, len(chosen))):
            wait_until(partial(self._is_so_far, number), "it goes on", timeout=60)
            operation()

    def _is_so_far(self, operations: int) -> bool:
        """Return whether so much of the work is done that the next operation is in its turn."""
        ended = ScheduledFunction.objects.filter(pk__in=self._ids).exclude(state__in=UNFINISHED).count()
        return ended * OPERATIONS >= len(self._ids) * operations * 0.9


def schedule(chosen: Functions, number: int, ledger: BodyLedger) -> list[int]:
    """Schedule functions of every account, due one after the other, and not in the order of their ids."""
    start = timezone.now() + timedelta(seconds=1)
    times = [(account, each) for account in ACCOUNTS for each in range(number)]
    random.shuffle(times)
    return [
        ctx.scheduler.options(priority=random.choice([0, 0, 5])).run_at(
            start + timedelta(milliseconds=each), random.choice(chosen), account=account, ledger=ledger.path
        )
        for account, each in times
    ]


def wait_until_ended(ids: Iterable[int]) -> None:
    unfinished = ScheduledFunction.objects.filter(pk__in=list(ids), state__in=UNFINISHED)
    wait_until(lambda: not unfinished.exists(), "all have ended", timeout=60.0 * SOAK)


@pytest.mark.timeout(300 * SOAK)
@pytest.mark.parametrize(("chosen", "limit"), VARIANTS.values(), ids=list(VARIANTS))
def test_limits_hold_whatever_happens(supervise, body_ledger, new_gate, chosen, limit):
    gate = new_gate()
    stuck = ctx.scheduler.run_after_many(
        0,
        functions.send_two_slowly,
        [{"account": STUCK, "ledger": body_ledger.path, "gate": gate.path}] * (2 * KILLS + 10),
    )
    ids = schedule(chosen, FUNCTIONS, body_ledger)
    free = schedule([functions.write_freely], 10, body_ledger)
    due = dict(ScheduledFunction.objects.filter(pk__in=ids).values_list("pk", "due_time"))
    supervised = supervise("--concurrency=4", processes=3, HEARTBEAT_INTERVAL=0.2)
    gate.wait_for_arrivals(2)

    operations = Operations(body_ledger, ids)
    operations.all()
    wait_until_ended([*ids, *free])
    last = schedule(chosen, 2 * limit, body_ledger)
    wait_until_ended(last)

    assert not ScheduledFunction.objects.filter(pk__in=stuck, state=State.SUCCESS).exists()
    gate.open()
    wait_until_ended(stuck)
    assert supervised.stop() == 0
    most = body_ledger.most_at_once()
    at_once = [most[f"{'one' if limit == 1 else 'two'} {account}"] for account in ACCOUNTS]
    assert max(at_once) == (1 if is_one_by_one(chosen) else limit)
    assert most[f"two {STUCK}"] == 2
    check_record(ids)
    check_record(last)
    if limit == 1:
        check_order(body_ledger, due, operations.moved)


def is_one_by_one(chosen: Functions) -> bool:
    """Return whether the database executes only one of these functions at once, whatever their limit is."""
    return connection.vendor == "sqlite" and chosen == [functions.write_two]


def check_record(ids: list[int]) -> None:
    rows = ScheduledFunction.objects.filter(pk__in=ids)
    for row in rows.filter(kind="mutation"):
        assert Entry.objects.filter(function_id=row.pk).count() == (row.state == State.SUCCESS)
    failures = set(rows.filter(state=State.FAILED).values_list("failure", flat=True))
    assert failures <= {Failure.LOST, Failure.ERROR, Failure.CRASHED}


def check_order(ledger: BodyLedger, due: dict[int, datetime], moved: set[int]) -> None:
    for limit, started in ledger.first_starts().items():
        if limit.startswith("one "):
            in_order = [each for each in started if each in due and each not in moved]
            assert in_order == sorted(in_order, key=lambda each: (due[each], each))
