"""Whatever happens to functions and executors: no limit is exceeded, as a ledger outside the database says."""

import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.functions import Function
from django_scheduler.models import UNFINISHED, Failure, ScheduledFunction, State
from tests.limits import functions
from tests.limits.body_ledger import BodyLedger
from tests.limits.operations import Operations
from tests.models import Entry
from tests.support.soak import IS_SOAK, SOAK, examples
from tests.support.waiting import wait_until

#: How many functions there are of each account and limit, how many operations there are, and how many of them kill.
FUNCTIONS, OPERATIONS, KILLS = examples(12, 200), examples(36, 300), examples(2, 10)

ACCOUNTS = range(3)

#: An account all of whose slots are taken the whole time.
STUCK = 99

Functions = Sequence[Function[..., Any]]

TWO = [functions.write_two, functions.send_two, functions.send_two_again]
ONE = [functions.write_one, functions.send_one]

#: Which functions there are, and how many of them run at once.
VARIANTS = [
    pytest.param(TWO, 2, id="two at once", marks=pytest.mark.thorough),
    pytest.param(ONE, 1, id="one at once"),
]
if IS_SOAK:
    VARIANTS += [pytest.param(TWO[:1], 2, id="mutations"), pytest.param(TWO[1:], 2, id="actions")]


@pytest.fixture
def body_ledger(transactional_db, tmp_path):
    return BodyLedger(str(tmp_path / "bodies"))


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
@pytest.mark.parametrize(("chosen", "limit"), VARIANTS)
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

    operations = Operations(body_ledger, ids, number=OPERATIONS, kills=KILLS)
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
