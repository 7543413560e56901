"""Slots of rate limits: each start takes one, which is free again a window later, and not before."""

from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.databases import TakenSlot, WantedSlots, database_for
from django_scheduler.models import Limit, Slot
from django_scheduler.record import delete_idle_slots
from tests.limits import rate_functions
from tests.support.in_process import executing
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

#: That of account 7 of ``send_hourly``.
HOURLY = "hourly rate [7]"

WINDOW = timedelta(hours=1, minutes=1)


def add_slots(*numbers: int, limit: str = HOURLY) -> None:
    database_for("default").add_slots([(limit, number) for number in numbers])


def take(size: int, number: int = 10) -> list[TakenSlot]:
    wanted = WantedSlots(HOURLY, "hourly rate", size, number, window=WINDOW)
    return database_for("default").take_rate_slots([wanted])


def numbers(slots: list[TakenSlot]) -> list[int]:
    return sorted(Slot.objects.filter(pk__in=[each.id for each in slots]).values_list("number", flat=True))


def taken_earlier(number: int, by: timedelta) -> None:
    slot = Slot.objects.get(number=number)
    assert slot.taken_time is not None
    Slot.objects.filter(pk=slot.pk).update(taken_time=slot.taken_time - by)


def test_slot_is_free_again_a_window_after_it_was_taken():
    add_slots(0, 1)
    assert numbers(take(2, 1)) == [0]
    assert numbers(take(2)) == [1]
    taken_earlier(0, WINDOW - timedelta(minutes=1))
    taken_earlier(1, WINDOW)
    assert numbers(take(2)) == [1]


def test_starts_beyond_a_limit_that_was_lowered_count_until_their_windows_are_over():
    add_slots(0, 1, 2)
    take(3)
    taken_earlier(0, WINDOW)
    assert take(2) == []  # of the last window there are two starts
    taken_earlier(2, WINDOW)
    assert numbers(take(2)) == [0]


def test_slot_beyond_a_limit_that_was_lowered_is_not_taken_again():
    add_slots(2)
    assert take(2) == []
    add_slots(0)
    assert numbers(take(2)) == [0]


def test_number_that_somebody_has_set_counts_instead_of_that_of_the_code():
    add_slots(0, 1, 2)
    Limit.objects.create(name="hourly rate", number=2, changed_time=timezone.now())
    assert numbers(take(1)) == [0, 1]
    Limit.objects.update(number=0)
    assert take(1) == []
    Limit.objects.all().delete()
    assert take(3) != []


def test_slot_that_is_taken_again_for_the_same_start_is_in_use_from_then_on():
    add_slots(0)
    (slot,) = take(1)
    taken_earlier(0, WINDOW - timedelta(minutes=1))
    assert database_for("default").take_again(slot) is not None
    taken_earlier(0, timedelta(minutes=1))
    assert take(1) == []


def test_slot_that_another_start_has_taken_since_is_not_taken_again():
    add_slots(0)
    (slot,) = take(1)
    taken_earlier(0, WINDOW)
    assert len(take(1)) == 1
    assert database_for("default").take_again(slot) is None


def test_who_has_taken_a_slot_again_knows_it():
    add_slots(0)
    (slot,) = take(1)
    again = database_for("default").take_again(slot)
    assert again is not None
    assert database_for("default").take_again(slot) is None  # its counter has changed, for whoever had read it
    assert database_for("default").take_again(again) is not None


def test_slot_that_is_given_back_is_free_at_once():
    add_slots(0, 1)
    slots = take(2)
    database_for("default").give_back(slots)
    assert numbers(take(2)) == [0, 1]


def test_slot_that_another_start_has_taken_since_is_not_given_back():
    add_slots(0)
    slots = take(1)
    taken_earlier(0, WINDOW)
    assert len(take(1)) == 1
    database_for("default").give_back(slots)
    assert take(1) == []


def test_slots_are_deleted_when_their_windows_are_over():
    add_slots(0, 1)
    take(2)
    assert delete_idle_slots(database_for("default"), Event()) == 0
    taken_earlier(1, timedelta(hours=2))
    assert delete_idle_slots(database_for("default"), Event()) == 1
    assert Slot.objects.get().number == 0


def test_slots_of_a_rate_limit_that_this_code_does_not_have_are_kept_as_long_as_any_window_lasts():
    add_slots(0, limit="of_another_release rate")
    wanted = WantedSlots("of_another_release rate", "of_another_release rate", 1, 1, window=WINDOW)
    database_for("default").take_rate_slots([wanted])
    taken_earlier(0, timedelta(days=365))
    assert delete_idle_slots(database_for("default"), Event()) == 0
    taken_earlier(0, timedelta(days=3 * 366))
    assert delete_idle_slots(database_for("default"), Event()) == 1


@pytest.mark.parametrize("is_taken", [True, False], ids=["taken", "not taken"])
def test_slot_that_is_taken_after_retention_has_looked_is_not_deleted(monkeypatch, is_taken):
    add_slots(0)
    take(1)
    taken_earlier(0, timedelta(hours=2))
    database = database_for("default")
    look = database.look_at_slots

    def look_and_be_overtaken(*args: Any, **kwargs: Any) -> Any:
        found = look(*args, **kwargs)
        if is_taken:
            assert len(take(1)) == 1
        return found

    monkeypatch.setattr(type(database), "look_at_slots", staticmethod(look_and_be_overtaken))
    assert delete_idle_slots(database, Event()) == (not is_taken)


@pytest.mark.parametrize(
    "function", [rate_functions.send_hourly, rate_functions.write_hourly], ids=lambda each: each.kind
)
def test_slots_are_added_when_they_are_missed_and_no_more_than_the_limit_has(function):
    ids = ctx.scheduler.run_after_many(0, function, [{"account": 7}] * 3)
    with executing(concurrency=2):
        wait_until(lambda: sum(record(each).waits_for == HOURLY for each in ids) == 2, "two of them wait")
    slot = Slot.objects.get()
    assert (slot.limit, slot.number, slot.taken_time is not None) == (HOURLY, 0, True)
