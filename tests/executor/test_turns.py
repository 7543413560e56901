"""Tenants who have something due take turns within a queue and a priority, and nobody waits for one who has nothing."""

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.db.models import F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_scheduler import Context, Outcome, Retry, action, ctx, mutation
from django_scheduler.databases import Claimable, Lane
from django_scheduler.executor import turns
from django_scheduler.executor.turns import Turns
from django_scheduler.functions import Function
from django_scheduler.models import ScheduledFunction, ScheduledFunctionId, State
from tests.support.in_process import executing
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

#: The tenants of what has started, in that order.
starts: list[object] = []

is_waiting = threading.Event()
may_return = threading.Event()


@pytest.fixture(autouse=True)
def _nothing_has_started() -> None:
    starts.clear()
    is_waiting.clear()
    may_return.clear()


@mutation(fair_key="tenant")
def start_in_turn(ctx: Context, *, tenant: object = None, number: int = 0) -> None:
    starts.append(tenant)


@mutation(fair_key="tenant", alone=True)
def start_alone_in_turn(ctx: Context, *, tenant: object) -> None:
    starts.append(tenant)


@action(fair_key="tenant")
def start_in_turn_as_an_action(ctx: Context, *, tenant: object) -> None:
    starts.append(tenant)


@mutation
def start_without_turns(ctx: Context, *, tenant: object = None) -> None:
    starts.append(tenant)


@mutation(queue="other")
def start_in_another_queue(ctx: Context) -> None:
    starts.append("other")


@mutation
def start_with_another_parameter(ctx: Context, *, account: int) -> None: ...


@action
def wait_for_the_test(ctx: Context) -> None:
    is_waiting.set()
    assert may_return.wait(20)


@mutation(fair_key="tenant")
def follow(ctx: Context, *, outcome: Outcome, tenant: int) -> None:
    starts.append(tenant)


@mutation(fair_key="tenant", retry=Retry(2))
def fail_in_turn(ctx: Context, *, tenant: int) -> None:
    starts.append(tenant)
    raise ValueError


def schedule(function: Function, tenants: Sequence[object], *, ago: float = 0) -> list[ScheduledFunctionId]:
    """Schedule a function for each of the tenants, as of so many seconds ago."""
    with transaction.atomic():
        ids = ctx.scheduler.run_after_many(0, function, [{"tenant": tenant} for tenant in tenants])
        if ago:
            since = timedelta(seconds=ago)
            ScheduledFunction.objects.filter(pk__gte=ids[0]).update(due_time=F("due_time") - since)
    return ids


def tenant_of(function_id: ScheduledFunctionId) -> str:
    return record(function_id).tenant


def last_start(tenant: object) -> int:
    """Return how many functions had started when the last one of a tenant had."""
    return len(starts) - starts[::-1].index(tenant)


# Whose turn it is


@pytest.mark.parametrize("function", [start_in_turn, start_alone_in_turn, start_in_turn_as_an_action])
def test_small_tenants_do_not_wait_for_the_backlog_of_a_large_one(execute_due, function):
    schedule(function, ["large"] * 60, ago=3_600)
    schedule(function, [*range(5)] * 3)

    execute_due()

    assert len(starts) == 75
    assert max(last_start(tenant) for tenant in range(5)) <= 40


def test_each_of_the_hundred_functions_of_ten_small_tenants_is_among_the_first_220(execute_due, growing_groups):
    schedule(start_in_turn, ["large"] * 2_000, ago=3_600)
    schedule(start_in_turn, [tenant for tenant in range(10) for _ in range(10)])

    execute_due()

    assert len(starts) == 2_100
    assert max(last_start(tenant) for tenant in range(10)) <= 220


def test_functions_of_one_tenant_start_in_the_order_of_their_due_times(execute_due, growing_groups):
    numbers: dict[object, list[int]] = {}
    calls = [{"tenant": number % 3, "number": number} for number in range(90)]
    ids = ctx.scheduler.run_after_many(0, start_in_turn, calls)
    for function_id, call in zip(ids, calls, strict=True):
        numbers.setdefault(call["tenant"], []).append(function_id)

    execute_due()

    for tenant, of_tenant in numbers.items():
        rows = ScheduledFunction.objects.filter(pk__in=of_tenant).order_by("started_time", "pk")
        assert list(rows.values_list("pk", flat=True)) == of_tenant, tenant
        assert starts.count(tenant) == 30


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 40), min_size=2, max_size=8), st.randoms(use_true_random=False))
def test_whatever_the_backlogs_each_tenant_waits_for_about_as_many_of_each_other_one(execute_due, sizes, random):
    starts.clear()
    tenants = [tenant for tenant, size in enumerate(sizes) for _ in range(size)]
    random.shuffle(tenants)
    schedule(start_in_turn, tenants)

    execute_due()

    assert sorted(starts, key=str) == sorted(tenants, key=str)
    for tenant, size in enumerate(sizes):
        before = starts[: last_start(tenant)]
        for other, others in enumerate(sizes):
            assert before.count(other) <= min(others, 2 * size + 8)


def test_a_tenant_who_comes_while_another_ones_backlog_is_executed_is_served_soon():
    ctx.scheduler.run_after(0, wait_for_the_test)
    with executing(concurrency=1):
        assert is_waiting.wait(20)
        schedule(start_in_turn, ["large"] * 300, ago=3_600)
        schedule(start_in_turn, ["small"])
        may_return.set()
        wait_until(lambda: len(starts) == 301, "all were executed")

    assert starts.index("small") < 20


def test_tenants_with_a_lone_function_each_share_transactions(execute_due, groups, growing_groups):
    schedule(start_in_turn, [*range(100)])

    execute_due()

    assert sorted(starts, key=str) == sorted(range(100), key=str)
    assert len(groups) <= 8


def test_a_higher_priority_comes_first_whoever_has_it(execute_due):
    ids = schedule(start_in_turn, ["large"] * 20 + ["small"] * 2)
    ScheduledFunction.objects.filter(pk__in=ids[10:20]).update(priority=1)

    execute_due()

    assert starts[:10] == ["large"] * 10


def test_those_without_a_tenant_take_turns_as_one_tenant_does(execute_due):
    schedule(start_in_turn, ["large"] * 40, ago=3_600)
    ctx.scheduler.run_after_many(0, start_without_turns, [{}] * 40)
    schedule(start_in_turn, ["small"] * 2)

    execute_due()

    assert last_start("small") <= 20
    assert starts[:20].count(None) >= 5


def test_another_queue_whose_functions_are_as_late_does_not_wait_for_the_tenants(execute_due):
    schedule(start_in_turn, ["large"] * 60 + [*range(5)] * 4)
    others = ctx.scheduler.run_after_many(0, start_in_another_queue, [{}] * 3)
    ScheduledFunction.objects.update(due_time=record(others[0]).due_time)

    execute_due()

    assert len(starts) == 83
    assert last_start("other") <= 45


def test_what_another_queue_has_for_much_longer_comes_before_the_tenants(execute_due):
    (late,) = ctx.scheduler.run_after_many(0, start_in_another_queue, [{}])
    ids = schedule(start_in_turn, ["large", "small"] * 10)
    ScheduledFunction.objects.filter(pk=late).update(due_time=F("due_time") - timedelta(hours=1))

    execute_due()

    assert starts[0] == "other"
    assert ScheduledFunction.objects.filter(pk__in=ids, state=State.SUCCESS).count() == 20


def test_two_executors_share_the_tenants_and_execute_each_function_once():
    schedule(start_in_turn, ["large"] * 100 + [tenant for tenant in range(20) for _ in range(10)])

    with executing(concurrency=2), executing(concurrency=1):
        succeeded = ScheduledFunction.objects.filter(state=State.SUCCESS)
        wait_until(lambda: succeeded.count() == 300, "all of them succeeded")

    assert starts.count("large") == 100
    assert all(starts.count(tenant) == 10 for tenant in range(20))


def test_what_a_wake_up_names_of_a_tenant_is_executed_while_an_executor_is_idle():
    with executing(concurrency=1):
        for tenant in ("a b", "a b", "ä'\\;", 7):
            function_id = ctx.scheduler.run_after(0, start_in_turn, tenant=tenant)
            wait_until(lambda: record(function_id).state == State.SUCCESS, "it was executed")  # noqa: B023

    assert starts == ["a b", "a b", "ä'\\;", 7]


def test_the_one_that_was_served_longest_ago_is_forgotten_first(monkeypatch):
    monkeypatch.setattr(turns, "MOST_SERVED", 2)
    taken = Turns()

    def lane(tenant: str) -> Lane:
        return Lane("default", 0, tenant, 0.0, None, 1, is_paused=False)

    lanes = [lane(tenant) for tenant in "abcd"]
    assert taken.in_turn(lanes) == lanes
    values: dict[str, Any] = dict.fromkeys(Claimable._fields)
    for tenant in "cab":
        taken.note([Claimable(**{**values, "queue": "default", "tenant": tenant})], 0)

    assert [each.tenant for each in taken.in_turn(lanes)] == ["c", "d", "a", "b"]


# Who is a tenant


@pytest.mark.parametrize(
    ("given", "tenant"),
    [
        (7, "7"),
        ("7", "7"),
        ("acme", "acme"),
        ("", ""),
        (None, ""),
        (False, "false"),
        ([1, "a"], '[1,"a"]'),
        ({"id": 7, "of": None}, '{"id":7,"of":null}'),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        ("Zürich 🏔 '\"\\", "Zürich 🏔 '\"\\"),
    ],
)
def test_a_tenant_is_the_text_of_the_argument(given, tenant):
    one = ctx.scheduler.run_after(0, start_in_turn, tenant=given)
    many = schedule(start_in_turn, [given, "another", given])

    assert [tenant_of(each) for each in [one, *many]] == [tenant, tenant, "another", tenant]


def test_long_texts_are_told_apart_by_a_hash():
    first, same, other = schedule(start_in_turn, ["x" * 101, "x" * 101, "x" * 102])

    assert tenant_of(first) == tenant_of(same) != tenant_of(other)
    assert tenant_of(schedule(start_in_turn, ["x" * 100])[0]) == "x" * 100


def test_without_the_argument_or_a_fair_key_there_is_no_tenant():
    assert tenant_of(ctx.scheduler.run_after(0, start_in_turn)) == ""
    assert tenant_of(ctx.scheduler.run_after(0, start_without_turns, tenant=7)) == ""


def test_a_setting_names_the_tenants_of_a_queue(settings):
    settings.DJANGO_SCHEDULER = {"FAIR_KEYS": {"bulk": "tenant"}}
    bulk = ctx.scheduler.options(queue="bulk")

    assert tenant_of(bulk.run_after(0, start_without_turns, tenant=7)) == "7"
    assert tenant_of(bulk.run_after(0, start_with_another_parameter, account=7)) == ""
    assert tenant_of(ctx.scheduler.run_after(0, start_without_turns, tenant=7)) == ""


def test_what_a_function_says_comes_before_the_setting(settings):
    settings.DJANGO_SCHEDULER = {"FAIR_KEYS": {"default": "number"}}

    assert tenant_of(ctx.scheduler.run_after(0, start_in_turn, tenant="a", number=1)) == "a"


def test_a_call_that_replaces_another_one_brings_its_tenant():
    replacing = ctx.scheduler.options(key="k", existing="replace")
    first = replacing.run_after(60, start_in_turn, tenant="a")
    assert tenant_of(first) == "a"

    assert replacing.run_after(60, start_in_turn, tenant="b") == first

    assert tenant_of(first) == "b"


def test_calls_with_keys_have_tenants_of_their_own():
    keyed = ctx.scheduler.options(key=lambda tenant: f"{tenant}")
    ids = keyed.run_after_many(60, start_in_turn, [{"tenant": "b"}, {"tenant": "a"}, {"tenant": "b"}])

    assert [tenant_of(each) for each in ids] == ["b", "a", "b"]


def test_what_runs_again_or_once_more_and_what_follows_has_its_tenant(execute_due):
    first = ctx.scheduler.options(on_complete=(follow, {"tenant": 8})).run_after(0, start_in_turn, tenant=7)
    failing = ctx.scheduler.run_after(0, fail_in_turn, tenant=9)
    execute_due()

    assert tenant_of(ctx.scheduler.run_again(first)) == "7"
    assert ScheduledFunction.objects.get(name="tests:follow").tenant == "8"
    assert (tenant_of(failing), record(failing).attempts > 0) == ("9", True)
