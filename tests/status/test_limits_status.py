"""What waits for limits, what runs and begins under them, and what they are set to."""

import pytest

from django_scheduler import limits
from django_scheduler.models import Slot, State
from django_scheduler.status import LimitStatus, RateLimitStatus, closed_limits, status
from tests.admin import limited_functions  # noqa: F401  (declares the limits)
from tests.status.records import put_living_executor_on_record, put_starts_on_record, put_waiting_on_record

pytestmark = pytest.mark.django_db


def of(name: str) -> LimitStatus:
    return next(limit for limit in status().limits if limit.name == name)


def rate_of(name: str) -> RateLimitStatus:
    return next(limit for limit in status().rate_limits if limit.name == name)


def test_limits_that_the_code_declares_are_named_though_nothing_waits():
    limit = of("bank")
    assert (limit.concurrency, limit.declared, limit.waiting, limit.running, limit.oldest) == (2, 2, 0, 0, 0.0)
    assert not limit.is_set


def test_what_waits_is_counted_by_the_name_of_its_limit():
    put_waiting_on_record("bank [7]", 100)
    put_waiting_on_record("bank [8]", 200, queue="email", priority=3)
    put_waiting_on_record("tests:sort_letters", 10)
    put_waiting_on_record("of other code", 10)

    assert [(each.name, each.waiting) for each in status().limits if each.waiting] == [
        ("bank", 2), ("of", 1), ("tests:sort_letters", 1),
    ]  # fmt: skip
    assert 200 <= of("bank").oldest < 250
    assert of("of").concurrency is None


def test_what_waits_is_pending_and_neither_due_nor_late():
    put_waiting_on_record("bank [7]", 100)

    now = status()

    assert (now.pending, now.due, now.lag) == (1, 0, 0.0)


def test_slots_that_actions_hold_are_running():
    for number, account in enumerate((7, 7, 8)):
        action = put_waiting_on_record(f"bank [{account}]", 0, state=State.IN_PROGRESS, attempts=1, waits_for=None)
        Slot.objects.create(limit=f"bank [{account}]", number=number, function=action, attempt=1, executor="x")
    Slot.objects.create(limit="bank [7]", number=7)

    assert of("bank").running == 3


def test_counting_what_waits_stops_where_it_would_take_long(monkeypatch):
    monkeypatch.setattr("django_scheduler.status.reading.MOST_COUNTED", 3)
    for _ in range(5):
        put_waiting_on_record("bank [7]", 0)

    assert of("bank").waiting == 3


def test_limit_that_somebody_has_set():
    limits.change("default", "bank", 5, reason="The bank allows it", changed_by="ada")

    limit = of("bank")

    assert (limit.concurrency, limit.declared, limit.is_set) == (5, 2, True)
    assert (limit.changed_by, limit.reason) == ("ada", "The bank allows it")


def test_limit_that_is_set_to_0_is_a_warning():
    put_living_executor_on_record()
    limits.change("default", "bank", 0, reason="closed", changed_by="ada")

    now = status()

    (problem,) = now.problems
    assert (problem.code, problem.is_warning, now.healthy) == ("limit_closed", True, True)
    assert problem.message.startswith("The limit “bank” is set to 0 (ada: closed), so nothing of it begins.")
    assert [limit.name for limit in closed_limits("default")] == ["bank"]


def test_limit_is_set_again_and_then_as_the_code_says():
    limits.change("default", "bank", 5)
    limits.change("default", "bank", 6, reason="more")

    assert (of("bank").concurrency, of("bank").reason) == (6, "more")
    assert limits.reset("default", "bank")
    assert not limits.reset("default", "bank")
    assert of("bank").concurrency == 2


# Rate limits


def test_rate_limits_that_the_code_declares_are_named_though_nothing_waits():
    limit = rate_of("bank")
    assert (limit.rate, limit.per, limit.declared, limit.waiting, limit.started) == (10, 10.0, 10, 0, 0)
    assert not limit.is_set


def test_what_waits_and_what_has_begun_is_counted_by_the_name_of_its_rate_limit():
    put_waiting_on_record("bank [7]", 100)
    put_waiting_on_record("bank rate [7]", 200)
    put_waiting_on_record("bank rate [8]", 300)
    put_waiting_on_record("visits rate #9f86d0", 10)
    put_waiting_on_record("former rate", 10)
    put_starts_on_record("bank rate [7]", 1, 2, 20)
    put_starts_on_record("bank rate [8]", 3)
    put_starts_on_record("visits rate", 20, 4_000)
    put_starts_on_record("former rate", 1)

    limits = [(each.name, each.waiting, each.started) for each in status().rate_limits if each.waiting]

    assert limits == [("bank", 2, 3), ("former", 1, 0), ("visits", 1, 1)]
    assert 300 <= rate_of("bank").oldest < 350
    assert (rate_of("former").rate, rate_of("former").per) == (None, None)
    assert (of("bank").waiting, of("bank").running) == (1, 0)
    assert "former" not in [limit.name for limit in status().limits]


def test_counting_what_has_begun_stops_where_it_would_take_long(monkeypatch):
    monkeypatch.setattr("django_scheduler.status.reading.SLOTS_LOOKED_AT", 3)
    put_starts_on_record("bank rate [7]", *range(5))

    assert rate_of("bank").started == 3


def test_rate_limit_that_somebody_has_set():
    limits.change("default", "bank rate", 5, reason="The bank allows no more", changed_by="ada")

    limit = rate_of("bank")

    assert (limit.rate, limit.declared, limit.is_set) == (5, 10, True)
    assert (limit.changed_by, limit.reason) == ("ada", "The bank allows no more")
    assert (of("bank").concurrency, of("bank").is_set, of("bank").reason) == (2, False, "")


def test_rate_limit_that_is_set_to_0_is_a_warning():
    put_living_executor_on_record()
    limits.change("default", "bank rate", 0, reason="closed", changed_by="ada")

    now = status()

    (problem,) = now.problems
    assert (problem.code, problem.is_warning, now.healthy) == ("rate_limit_closed", True, True)
    assert problem.message.startswith("The rate limit “bank” is set to 0 (ada: closed), so nothing of it begins.")
    assert [limit.name for limit in closed_limits("default")] == ["bank"]
