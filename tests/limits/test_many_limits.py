"""What waits for many limits is let in by a few statements, as it would be limit by limit."""

import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connections, transaction
from django.utils import timezone

from django_scheduler import Concurrency, Context, RateLimit, ctx, mutation
from django_scheduler.databases import database_for
from django_scheduler.databases.slots import PARTS_PER_STATEMENT
from django_scheduler.executor import limit_watch
from django_scheduler.executor.limit_watch import LimitWatch
from django_scheduler.models import FAR, Limit, ScheduledFunction
from django_scheduler.record import let_in
from tests.support.sessions import Session
from tests.support.statements import statements_through

pytestmark = pytest.mark.django_db(transaction=True)

#: More than one statement has parts.
LIMITS = 2 * PARTS_PER_STATEMENT + 50

#: What a look may take that asks each thing once, in portions where the vendor needs these.
FEW_STATEMENTS = 25


@mutation(rate_limit=RateLimit(5, per=timedelta(minutes=1), key="tenant", name="per_tenant"))
def write_at_rate_of_tenant(ctx: Context, *, tenant: int) -> None: ...


@mutation(concurrency=Concurrency(1, key="tenant", name="one_per_tenant"))
def write_in_turn_for_tenant(ctx: Context, *, tenant: int) -> None: ...


def have_wait(functions: Sequence[int], limit: str, **columns: object) -> None:
    """Have functions wait for a limit, the last one first."""
    for number, function_id in enumerate(functions):
        since = timezone.now() - timedelta(minutes=1 + number)
        row = {"due_time": FAR, "waits_for": limit, "waiting_since": since, **columns}
        ScheduledFunction.objects.filter(pk=function_id).update(**row)


def wait_for_tenants(number: int, *, of_each: int = 1) -> dict[str, Sequence[int]]:
    """Have functions wait for the rate limits of so many tenants; return the ids by the limits, in their order."""
    calls = [{"tenant": tenant} for tenant in range(number) for _ in range(of_each)]
    ids = ctx.scheduler.run_after_many(0, write_at_rate_of_tenant, calls)
    waiting: dict[str, Sequence[int]] = {
        f"per_tenant rate [{tenant}]": ids[tenant * of_each : (tenant + 1) * of_each] for tenant in range(number)
    }
    for limit, functions in waiting.items():
        have_wait(functions, limit)
    return {limit: functions[::-1] for limit, functions in waiting.items()}


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """What other threads ask the database meanwhile."""
    noted: list[str] = []
    own = threading.current_thread()

    def note(execute: Any, sql: str, *arguments: Any) -> Any:
        if threading.current_thread() is not own:
            noted.append(sql)
        return execute(sql, *arguments)

    with statements_through(note):
        yield noted


def look_until_nothing_can_be_let_in() -> None:
    stopping = threading.Event()
    watch = LimitWatch(database_for("default"), stopping)
    watch.when_settled(stopping.set)
    watch.something_waits()
    thread = watch.side_task()
    thread.start()
    try:
        assert stopping.wait(30)
    finally:
        stopping.set()
        watch.stop()
        thread.join(20)


@pytest.mark.parametrize("function", [write_at_rate_of_tenant, write_in_turn_for_tenant])
def test_look_takes_a_few_statements_however_many_limits_have_free_slots(statements, function):
    ids = ctx.scheduler.run_after_many(0, function, [{"tenant": tenant} for tenant in range(LIMITS)])
    for tenant, function_id in enumerate(ids):
        limit = f"per_tenant rate [{tenant}]" if function is write_at_rate_of_tenant else f"one_per_tenant [{tenant}]"
        have_wait([function_id], limit, in_order_of=None if function is write_at_rate_of_tenant else limit)

    look_until_nothing_can_be_let_in()

    assert not ScheduledFunction.objects.filter(due_time=FAR).exists()
    looks = sum("DISTINCT waits_for" in each or "found.number" in each for each in statements)
    assert looks >= 2
    assert len(statements) < looks * FEW_STATEMENTS


def test_of_each_limit_so_many_are_let_in_as_one_by_one_the_first_ones_first():
    waiting = wait_for_tenants(LIMITS, of_each=3)
    numbers = {limit: number % 4 for number, limit in enumerate(waiting)}

    with transaction.atomic():
        assert let_in(database_for("default"), numbers) == sum(min(3, number) for number in numbers.values())

    still_wait = set(ScheduledFunction.objects.filter(due_time=FAR).values_list("pk", flat=True))
    assert still_wait == {each for limit, ids in waiting.items() for each in ids[numbers[limit] :]}


@pytest.mark.only_on("postgresql", "mysql")
def test_who_is_locked_is_passed_over_and_the_next_ones_of_its_limit_are_locked(session: Session):
    waiting = wait_for_tenants(4, of_each=3)
    first, second, third, _ = waiting.values()
    numbers = dict.fromkeys(list(waiting)[:3], 2)
    with transaction.atomic():
        list(ScheduledFunction.objects.select_for_update().filter(pk__in=[first[0], second[1]]))
        assert session.do(_locked, numbers) == {*first[1:], second[0], second[2], *third[:2]}
    assert session.do(_locked, numbers) == {*first[:2], *second[:2], *third[:2]}


@pytest.mark.only_on("postgresql", "mysql")
def test_of_several_limits_only_those_are_locked_that_are_let_in(session: Session):
    waiting = wait_for_tenants(3, of_each=3)
    session.do(_read_committed)
    session.open_transaction()
    locked = session.do(database_for("default").lock_waiting_for, dict.fromkeys(waiting, 1))
    try:
        assert set(locked) == {ids[0] for ids in waiting.values()}
        with transaction.atomic():
            rows = ScheduledFunction.objects.select_for_update(skip_locked=True)
            free = {each.pk for ids in waiting.values() for pk in ids for each in rows.filter(pk=pk)}
        assert free == {each for ids in waiting.values() for each in ids[1:]}
    finally:
        session.roll_back()


def _read_committed() -> None:
    """Lock no gaps, as executors do not."""
    if connections["default"].vendor == "mysql":
        with connections["default"].cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")


def _locked(numbers: dict[str, int]) -> set[int]:
    _read_committed()
    with transaction.atomic():
        return set(database_for("default").lock_waiting_for(numbers))


def test_those_that_were_let_in_are_counted_of_each_limit_as_of_one():
    waiting = wait_for_tenants(5, of_each=3)
    past = timezone.now() - timedelta(minutes=1)
    for number, ids in enumerate(waiting.values()):
        ScheduledFunction.objects.filter(pk__in=ids[:number]).update(due_time=past)
    numbers = dict(zip(waiting, [2, 2, 1, 3, 3], strict=True))
    database = database_for("default")

    assert list(database.count_let_in(numbers).values()) == [0, 1, 1, 3, 3]
    for limit, number in numbers.items():
        assert database.count_let_in({limit: number}) == {limit: database.count_let_in(numbers)[limit]}


def test_limits_are_held_up_together_as_each_of_them_is():
    limits: dict[str, dict[str, object]] = {
        "free": {},
        "of another limit": {"waits_for": "another"},
        "due": {"due_time": timezone.now()},
    }
    earlier = timezone.now() - timedelta(hours=1)
    for limit, columns in limits.items():
        first, last = ctx.scheduler.run_after_many(0, write_in_turn_for_tenant, [{"tenant": 1}] * 2)
        have_wait([last], limit, in_order_of=limit)
        have_wait([first], limit, **{"in_order_of": limit, "waiting_since": earlier, **columns})
    database = database_for("default")

    assert database.held_up([*limits, "nobody waits for it"]) == {"of another limit", "due"}
    assert [database.held_up([limit]) for limit in limits] == [set(), {"of another limit"}, {"due"}]


@pytest.mark.parametrize(("took", "looks"), [([5.0, 0.0, 0.0], 3), ([5.0, 5.0, 5.0], 2)], ids=["once", "always"])
def test_looks_for_what_has_expired_rest_only_if_they_always_take_long(monkeypatch, took, looks):
    wait_for_tenants(1)
    Limit.objects.create(name="per_tenant rate", number=0, changed_time=timezone.now())
    clock: list[float] = [0.0]
    begun: list[float] = []

    def look_for_expired(execute: Any, sql: str, *arguments: Any) -> Any:
        if "expires_time <=" in sql:
            clock[0] += took[len(begun)]
            begun.append(clock[0])
        return execute(sql, *arguments)

    monkeypatch.setattr(limit_watch, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    watch = LimitWatch(database_for("default"), threading.Event())
    with statements_through(look_for_expired):
        for _ in range(3):
            watch._look(clock[0])
            clock[0] += limit_watch.EXPIRY_INTERVAL
    assert len(begun) == looks
