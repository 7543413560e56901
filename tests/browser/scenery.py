"""A shop in the middle of a busy day, for the pictures in the documentation."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from django_scheduler import crons, ctx
from django_scheduler.crons.models import Cron, CronRun, CronRunState, Origin
from django_scheduler.models import Executor, Failure, Kind, ScheduledFunction, State

TRACEBACK = """Traceback (most recent call last):
  File "/srv/shop/orders/functions.py", line 68, in book_courier
    raise CourierUnavailable(f"the courier answers {status}")
orders.functions.CourierUnavailable: the courier answers 503
"""

FUNCTIONS: list[tuple[str, Kind, str, float]] = [
    ("orders:create_order", Kind.MUTATION, "default", 0.012),
    ("orders:reserve_stock", Kind.MUTATION, "default", 0.006),
    ("orders:send_confirmation", Kind.ACTION, "email", 0.24),
    ("orders:book_courier", Kind.ACTION, "courier", 1.4),
    ("orders:archive_order", Kind.MUTATION, "default", 0.009),
]

EXECUTOR = "web-1:4711:9f86d081"


def set_up(seed: int = 7) -> None:
    """Fill the tables."""
    chance = random.Random(seed)
    now = timezone.now()
    ScheduledFunction.objects.bulk_create(sorted(_functions(now, chance), key=lambda function: function.creation_time))
    for host, process, silence, queues in (
        ("web-1", 4711, 2, []),
        ("web-2", 902, 5, []),
        ("mail-1", 77, 95, ["email"]),
    ):
        Executor.objects.create(
            name=EXECUTOR if host == "web-1" else f"{host}:{process}:5e884898",
            host=host,
            process_space="",
            process_id=process,
            process_start="",
            started_time=now - timedelta(hours=5, minutes=process % 60),
            heartbeat_time=now - timedelta(seconds=silence),
            queues=queues,
            concurrency=8,
            version="0.1.0",
        )
    _crons(now)


def _crons(now: datetime) -> None:
    for name, schedule, origin in (
        ("archive old orders", crons.Daily(hour=3, timezone="Europe/Berlin"), Origin.CODE),
        ("ask the courier", crons.Interval(minutes=5), Origin.CODE),
        ("monthly invoices", crons.Monthly(day=1, hour=6, timezone="Europe/Berlin"), Origin.CODE),
        ("newsletter", crons.CronLine("30 9 * * mon-fri", timezone="America/New_York"), Origin.RUN_TIME),
    ):
        cron = ctx.crons.register(name, schedule, "orders:archive_order", order_id=7)
        _history(cron, now, every=timedelta(minutes=5) if name == "ask the courier" else timedelta(days=1))
        Cron.objects.filter(pk=cron.pk).update(origin=origin, creation_time=now - timedelta(days=90))
    ctx.crons.pause("newsletter", "Nothing to say before the sale")


def _history(cron: Cron, now: datetime, *, every: timedelta) -> None:
    """Twelve runs; in the middle of them two slots at which the previous run was unfinished."""
    for number in range(12, 0, -1):
        slot = now - number * every
        is_skipped = number == 6
        run = CronRun.objects.create(
            cron=cron,
            slot=slot,
            last_slot=slot + every if is_skipped else slot,
            slots=2 if is_skipped else 1,
            state=CronRunState.SKIPPED if is_skipped else CronRunState.SUCCESS,
            time=slot,
            completed_time=None if is_skipped else slot + timedelta(seconds=1.4),
        )
    next_time = now + every * 0.6 if cron.every else cron.next_time
    Cron.objects.filter(pk=cron.pk).update(last_run=run, last_slot=run.slot, next_time=next_time)


def _functions(now: datetime, chance: random.Random) -> Iterator[ScheduledFunction]:
    for minute in range(90):
        for _ in range(6 + minute % 7 + chance.randrange(8)):
            yield _finished(now - timedelta(minutes=minute, seconds=chance.uniform(5, 60)), chance)
    for hour in range(30):
        for _ in range(max(1, int(40 - 2.2 * abs(hour - 9)) + chance.randrange(6))):
            yield _pending(now + timedelta(hours=hour, seconds=chance.uniform(60, 3600)), chance)
    for _ in range(3):
        yield _pending(now - timedelta(seconds=chance.uniform(1, 7)), chance)
    for _ in range(4):
        due = now - timedelta(seconds=chance.uniform(1, 40))
        yield _function(chance, FUNCTIONS[3], due, state=State.IN_PROGRESS, started_time=due, executor=EXECUTOR)


def _finished(due: datetime, chance: random.Random) -> ScheduledFunction:
    function = chance.choice(FUNCTIONS)
    started = due + timedelta(seconds=chance.uniform(0.004, 0.3))
    times = {
        "started_time": started,
        "completed_time": started + timedelta(seconds=function[3] * chance.uniform(0.6, 2.6)),
    }
    if function[0] == "orders:book_courier" and chance.random() < 0.28:
        error = {"error": "CourierUnavailable: the courier answers 503", "traceback": TRACEBACK}
        return _function(chance, function, due, state=State.FAILED, failure=Failure.ERROR, **error, **times)
    if function[0] == "orders:reserve_stock" and chance.random() < 0.08:
        error = {"error": "SoldOut: Vase is sold out", "traceback": TRACEBACK}
        return _function(chance, function, due, state=State.FAILED, failure=Failure.ERROR, **error, **times)
    if chance.random() < 0.02:
        return _function(chance, function, due, state=State.CANCELED, completed_time=due)
    return _function(chance, function, due, state=State.SUCCESS, **times)


def _pending(due: datetime, chance: random.Random) -> ScheduledFunction:
    return _function(chance, chance.choice(FUNCTIONS), due, state=State.PENDING)


def _function(
    chance: random.Random, function: tuple[str, Kind, str, float], due: datetime, **values: Any
) -> ScheduledFunction:
    name, kind, queue, _ = function
    order = chance.randrange(1000, 9999)
    args: dict[str, Any] = {"order_id": order}
    if name == "orders:create_order":
        args = {"email": f"customer{order}@shop.example", "items": ["Teapot", "Cups"], "card_token": "tok_1"}
    values.setdefault("executor", EXECUTOR if "started_time" in values else "")
    return ScheduledFunction(
        name=name,
        kind=kind,
        queue=queue,
        priority=0,
        args=args,
        scheduled_time=due,
        due_time=due,
        creation_time=min(due, timezone.now()) - timedelta(seconds=chance.uniform(1, 900)),
        attempts=0 if values["state"] == State.PENDING else 1,
        **values,
    )
