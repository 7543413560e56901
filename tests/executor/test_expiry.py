"""What has not begun when it expires never does: it is canceled, expired."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from django_scheduler import Context, Outcome, action, ctx, internal_mutation, mutation
from django_scheduler.errors import InvalidSchedule, TransientError
from django_scheduler.models import Failure, ScheduledFunction, State
from django_scheduler.signals import function_finished
from django_scheduler.testing import ManualScheduler
from tests.support.in_process import execute_with_one_worker
from tests.support.records import record

HOUR = timedelta(hours=1)

begun: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    begun.clear()


@mutation
def expiring_mutation(ctx: Context) -> None:
    begun.append("mutation")


@action(expires=HOUR)
def expiring_action(ctx: Context) -> None:
    begun.append("action")


@mutation
def expiring_retries(ctx: Context) -> None:
    begun.append("attempt")
    if len(begun) < 3:
        raise TransientError("not yet")


@internal_mutation
def report_expiry(ctx: Context, *, outcome: Outcome) -> None:
    begun.append(f"{outcome.state} {outcome.failure} {outcome.attempts}")


def pass_by(function_id: int, length: timedelta) -> None:
    """Have so much time pass, as far as a function knows, while no executor is running."""
    row = record(function_id)
    assert row.expires_time
    ScheduledFunction.objects.filter(pk=function_id).update(
        due_time=row.due_time - length, expires_time=row.expires_time - length
    )


@pytest.mark.parametrize("function", [expiring_mutation, expiring_action])
def test_it_never_begins_once_it_has_expired(transactional_db, function):
    ended = []

    def receive(**end: object) -> None:
        ended.append((end["state"], end["failure"]))

    function_id = ctx.scheduler.options(expires=HOUR, on_complete=report_expiry).run_after(0, function)
    pass_by(function_id, HOUR)

    function_finished.connect(receive)
    try:
        execute_with_one_worker()
    finally:
        function_finished.disconnect(receive)

    row = record(function_id)
    assert (row.state, row.failure, row.attempts) == (State.CANCELED, Failure.EXPIRED, 0)
    assert row.error.startswith(f"It had not begun at {row.expires_time}, when")
    assert row.completed_time is not None
    assert begun == ["canceled expired 0"]
    assert ended == [("canceled", "expired"), ("success", "")]


@pytest.mark.parametrize("function", [expiring_mutation, expiring_action])
def test_it_begins_until_then(transactional_db, function):
    function_id = ctx.scheduler.options(expires=HOUR).run_after(0, function)
    pass_by(function_id, HOUR - timedelta(minutes=1))

    execute_with_one_worker()

    assert record(function_id).state == State.SUCCESS


def test_hundreds_that_have_expired_hold_nothing_up(transactional_db):
    expired = ctx.scheduler.options(expires=HOUR).run_after_many(0, expiring_mutation, [{}] * 300)
    ScheduledFunction.objects.update(due_time=timezone.now() - 2 * HOUR, expires_time=timezone.now() - HOUR)
    ctx.scheduler.run_after(0, expiring_action)

    execute_with_one_worker()

    assert ScheduledFunction.objects.filter(pk__in=expired, state=State.CANCELED).count() == 300
    assert begun == ["action"]


def test_it_concerns_the_first_start_only(transactional_db, settings):
    settings.DJANGO_SCHEDULER = {"BACKOFF_INITIAL": timedelta(milliseconds=1)}
    function_id = ctx.scheduler.options(expires=HOUR).run_after(0, expiring_retries)
    execute_with_one_worker()
    pass_by(function_id, 2 * HOUR)

    while len(begun) < 3:
        execute_with_one_worker()

    assert record(function_id).state == State.SUCCESS
    assert len(begun) == 3


@pytest.mark.django_db
def test_declared_length_counts_from_the_requested_time():
    asked = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    ids = [
        ctx.scheduler.run_at(asked, expiring_action),
        ctx.scheduler.options(expires=timedelta(minutes=1)).run_at(asked, expiring_action),
        ctx.scheduler.options(expires=asked + 2 * HOUR).run_at(asked, expiring_action),
        ctx.scheduler.options(expires=None).run_at(asked, expiring_action),
        ctx.scheduler.run_at(asked, expiring_mutation),
    ]

    expected = [asked + HOUR, asked + timedelta(minutes=1), asked + 2 * HOUR, None, None]
    assert [record(each).expires_time for each in ids] == expected

    after = record(ctx.scheduler.run_after(HOUR, expiring_action))
    assert after.expires_time is not None
    assert abs(after.expires_time - after.scheduled_time - HOUR) < timedelta(seconds=1)  # SQLite reads the clock twice


@pytest.mark.django_db
def test_in_a_test_it_expires_when_the_test_has_let_that_time_pass():
    with ManualScheduler() as scheduler:
        function_id = ctx.scheduler.run_after(0, expiring_action)
        other_id = ctx.scheduler.run_after(0, expiring_mutation)
        ScheduledFunction.objects.filter(pk=other_id).update(due_time=timezone.now() + 2 * HOUR)
        ScheduledFunction.objects.filter(pk=function_id).update(due_time=timezone.now() + 2 * HOUR)  # rescheduled

        scheduler.advance(hours=2)

    assert record(function_id).failure == Failure.EXPIRED
    assert begun == ["mutation"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("expires", "error", "says"),
    [
        (timedelta(0), InvalidSchedule, "positive timedelta"),
        (timedelta(days=5 * 366 + 1), InvalidSchedule, "five years"),
        (3_600, InvalidSchedule, "positive timedelta"),
        ("soon", InvalidSchedule, "positive timedelta"),
        (datetime(2100, 1, 1), InvalidSchedule, "naive"),
        (datetime(2000, 1, 1, tzinfo=UTC), InvalidSchedule, "days away"),
        (timezone.now() - HOUR, InvalidSchedule, "before it is due"),
    ],
)
def test_expiry_that_cannot_be_is_refused(expires, error, says):
    with pytest.raises(error, match=says):
        ctx.scheduler.options(expires=expires).run_after(0, expiring_mutation)

    assert not ScheduledFunction.objects.exists()


@pytest.mark.django_db
def test_what_has_expired_is_not_run_now():
    function_id = ctx.scheduler.options(expires=HOUR).run_after(0, expiring_mutation)
    ctx.scheduler.run_now(function_id)
    ScheduledFunction.objects.filter(pk=function_id).update(expires_time=timezone.now() - HOUR)

    with pytest.raises(InvalidSchedule, match=f"{expiring_mutation.name} {function_id} cannot be run now: it expires"):
        ctx.scheduler.run_now(function_id)
    with pytest.raises(InvalidSchedule, match="cannot be rescheduled: it expires"):
        ctx.scheduler.reschedule(function_id, timezone.now() - 2 * HOUR)
    assert ctx.scheduler.run_now_many([function_id])[function_id].name == "EXPIRES_BEFORE"


@pytest.mark.django_db
def test_it_is_not_moved_to_a_time_at_which_it_has_expired():
    ids = [ctx.scheduler.options(expires=HOUR).run_after(0, expiring_mutation) for _ in range(2)]
    before, later = record(ids[0]), timezone.now() + 2 * HOUR

    with pytest.raises(InvalidSchedule, match=f"{expiring_mutation.name} {ids[0]} cannot be rescheduled: it expires"):
        ctx.scheduler.reschedule(ids[0], later)
    results = ctx.scheduler.reschedule_many([*ids, ctx.scheduler.run_after(0, expiring_mutation)], later)

    assert [each.name for each in results.values()] == ["EXPIRES_BEFORE", "EXPIRES_BEFORE", "DONE"]
    assert record(ids[0]).due_time == before.due_time
    ctx.scheduler.reschedule(ids[0], timezone.now() + HOUR / 2)
    assert record(ids[0]).due_time > before.due_time
