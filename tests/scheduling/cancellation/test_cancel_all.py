from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import transaction
from django.utils import timezone

from django_scheduler import api, ctx, internal
from django_scheduler.errors import FunctionNotFound, InvalidSchedule
from django_scheduler.models import ScheduledFunction, State
from tests.functions import note, write, write_internally
from tests.models import Entry


def number_canceled() -> int:
    return ScheduledFunction.objects.filter(state=State.CANCELED).count()


@pytest.fixture
def three_kinds(transactional_db):
    ctx.scheduler.run_after_many(60_000, write, [{"label": "later"}] * 3)
    ctx.scheduler.run_after_many(60_000, note, [{"label": "later"}] * 2)
    ctx.scheduler.run_after(60_000, write_internally, label="later")


def test_without_conditions_everything_unfinished_is_canceled(three_kinds):
    assert ctx.scheduler.cancel_all() == 6
    assert number_canceled() == 6
    assert ctx.scheduler.cancel_all() == 0


@pytest.mark.parametrize("name", ["tests:wr\0ite", "tests:\ud800"], ids=ascii)
def test_a_name_that_no_database_takes_is_refused_with_what_is_wrong(name, three_kinds):
    with pytest.raises(FunctionNotFound, match="has NUL or half of a surrogate pair"):
        ctx.scheduler.cancel_all(name)
    assert number_canceled() == 0


@pytest.mark.parametrize("function", [write, api.tests.write, "tests:write"], ids=["itself", "reference", "string"])
def test_of_one_function_whichever_way_it_is_named(function, three_kinds):
    assert ctx.scheduler.cancel_all(function) == 3
    assert set(ScheduledFunction.objects.filter(state="pending").values_list("name", flat=True)) == {
        "tests:note",
        "tests:write_internally",
    }


def test_of_an_internal_function(three_kinds):
    assert ctx.scheduler.cancel_all(internal.tests.write_internally) == 1


def test_of_a_function_that_no_longer_exists_by_its_name(three_kinds):
    ScheduledFunction.objects.filter(name="tests:note").update(name="tests:gone")
    assert ctx.scheduler.cancel_all("tests:gone") == 2
    assert number_canceled() == 2
    assert ctx.scheduler.cancel_all("tests:never_was") == 0


def test_a_reference_to_nothing_and_what_is_no_function_are_refused(three_kinds):
    with pytest.raises(FunctionNotFound):
        ctx.scheduler.cancel_all(api.tests.gone)
    with pytest.raises(FunctionNotFound):
        ctx.scheduler.cancel_all(print)  # type: ignore[arg-type]
    assert number_canceled() == 0


@pytest.mark.parametrize("in_milliseconds", [False, True], ids=["datetime", "milliseconds"])
def test_between_two_times_the_first_included_and_the_second_not(in_milliseconds, transactional_db):
    noon = timezone.now().replace(microsecond=0) + timedelta(days=1)
    times = [noon + timedelta(hours=hour) for hour in range(5)]
    ids = [ctx.scheduler.run_at(time, write, label=str(time)) for time in times]
    start: datetime | float = times[1]
    end: datetime | float = times[3]
    if in_milliseconds:
        start, end = (times[index].timestamp() * 1000 for index in (1, 3))
    assert ctx.scheduler.cancel_all(start=start, end=end) == 2
    canceled = ScheduledFunction.objects.filter(state=State.CANCELED).order_by("pk")
    assert list(canceled.values_list("pk", flat=True)) == ids[1:3]
    assert ctx.scheduler.cancel_all(end=end) == 1
    assert ctx.scheduler.cancel_all(start=start) == 2


def test_the_conditions_narrow_each_other(three_kinds):
    soon = timezone.now() + timedelta(seconds=30)
    assert ctx.scheduler.cancel_all(write, end=soon) == 0
    assert ctx.scheduler.cancel_all(write, start=soon, end=soon) == 0
    assert ctx.scheduler.cancel_all(write, start=soon) == 3
    assert number_canceled() == 3


def test_a_time_that_cannot_be_is_refused(three_kinds):
    with pytest.raises(InvalidSchedule):
        ctx.scheduler.cancel_all(start=datetime(2030, 1, 1))
    with pytest.raises(InvalidSchedule):
        ctx.scheduler.cancel_all(end=float("nan"))
    with pytest.raises(TypeError):
        ctx.scheduler.cancel_all(start="tomorrow")  # type: ignore[arg-type]
    assert number_canceled() == 0


def test_what_has_finished_is_left_as_it_is(execute_due):
    ctx.scheduler.run_after(0, write, label="done")
    execute_due()
    canceled = ctx.scheduler.run_after(0, write, label="never")
    ctx.scheduler.cancel(canceled)
    before = list(ScheduledFunction.objects.order_by("pk").values())
    assert ctx.scheduler.cancel_all() == 0
    assert list(ScheduledFunction.objects.order_by("pk").values()) == before


def test_it_is_part_of_the_transaction(three_kinds, execute_due):
    ctx.scheduler.run_after(0, write, label="now")
    with transaction.atomic():
        assert ctx.scheduler.cancel_all() == 7
        assert number_canceled() == 7
        transaction.set_rollback(True)
    assert number_canceled() == 0
    execute_due()
    assert Entry.objects.get().label == "now"


def test_in_a_savepoint_that_is_rolled_back_it_undoes_itself_alone(three_kinds):
    with transaction.atomic():
        ctx.scheduler.cancel_all(note)
        with transaction.atomic():
            assert ctx.scheduler.cancel_all() == 4
            transaction.set_rollback(True)
    assert number_canceled() == 2


def test_thousands_are_canceled_and_counted(transactional_db, django_assert_max_num_queries):
    number = 2_500
    ctx.scheduler.run_after_many(60_000, write, [{"label": "later"}] * number)
    ctx.scheduler.run_after(60_000, note, label="stays")
    with django_assert_max_num_queries(20):
        assert ctx.scheduler.cancel_all(write) == number
    assert number_canceled() == number


def test_the_permission_to_cancel_exists(db):
    assert Permission.objects.filter(
        content_type__app_label="django_scheduler", codename="cancel_scheduledfunction"
    ).exists()


def test_it_is_one_commit_as_others_see_it(three_kinds, session):
    with transaction.atomic():
        ctx.scheduler.cancel_all()
        assert session.do(number_canceled) == 0
    assert session.do(number_canceled) == 6
