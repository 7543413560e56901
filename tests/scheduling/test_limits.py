"""How much one transaction may schedule, and the warning before it is too much."""

import logging

import pytest
from django.db import transaction

from django_scheduler import Context, ctx, mutation
from django_scheduler.conf import get_settings
from django_scheduler.errors import ArgumentsTooLarge, SchedulerError, TooManyScheduled
from django_scheduler.models import ScheduledFunction
from tests.functions import write

pytestmark = pytest.mark.django_db(transaction=True)

#: An argument of as many bytes as JSON as the name says.
HUNDRED_BYTES = "x" * (100 - len('{"label":""}'))


def schedule(number, label="a"):
    for _ in range(number):
        ctx.scheduler.run_after(0, write, label=label)


def schedule_in_bulk(number, label="a"):
    ctx.scheduler.run_after_many(0, write, [{"label": label}] * number)


@pytest.fixture
def ten_functions(settings):
    settings.DJANGO_SCHEDULER = {"MAX_SCHEDULED_PER_TRANSACTION": 10, "MAX_BULK_SCHEDULED_PER_TRANSACTION": 10}


@pytest.fixture
def thousand_bytes(settings):
    settings.DJANGO_SCHEDULER = {
        "MAX_ARGUMENT_BYTES_PER_TRANSACTION": 1_000,
        "MAX_BULK_ARGUMENT_BYTES_PER_TRANSACTION": 1_000,
    }


@pytest.fixture
def warnings(caplog):
    def messages():
        return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]

    return messages


either_way = pytest.mark.parametrize("schedule", [schedule, schedule_in_bulk])


@pytest.mark.django_db
@either_way
@pytest.mark.usefixtures("ten_functions")
def test_as_many_functions_as_allowed_and_not_one_more(schedule):
    with transaction.atomic():
        schedule(10)
        with pytest.raises(TooManyScheduled) as caught:
            schedule(1)
    for part in ["tests:write", "11", "10 are allowed", "SCHEDULED_PER_TRANSACTION", "several transactions"]:
        assert part in str(caught.value)
    assert ScheduledFunction.objects.count() == 10


@pytest.mark.django_db
@either_way
@pytest.mark.usefixtures("thousand_bytes")
def test_as_many_bytes_of_arguments_as_allowed_and_not_one_more(schedule):
    with transaction.atomic():
        schedule(9, HUNDRED_BYTES)
        with pytest.raises(ArgumentsTooLarge) as caught:
            schedule(1, HUNDRED_BYTES + "x")
        schedule(1, HUNDRED_BYTES)
    for part in ["tests:write", "1,001", "1,000 are allowed", "ARGUMENT_BYTES_PER_TRANSACTION"]:
        assert part in str(caught.value)
    assert ScheduledFunction.objects.count() == 10


@pytest.mark.usefixtures("thousand_bytes")
def test_arguments_that_are_too_large_by_themselves_are_refused_outside_of_a_transaction_too():
    with pytest.raises(ArgumentsTooLarge):
        schedule(1, "x" * 1_000)
    assert not ScheduledFunction.objects.exists()


@pytest.mark.django_db
@pytest.mark.usefixtures("thousand_bytes")
def test_bytes_are_counted_as_they_are_stored():
    with pytest.raises(ArgumentsTooLarge):
        schedule(1, "\N{SNOWMAN}" * 200)


@pytest.mark.django_db
@pytest.mark.usefixtures("ten_functions")
def test_one_by_one_and_in_bulk_are_counted_apart():
    with transaction.atomic():
        schedule(10)
        schedule_in_bulk(10)
    assert ScheduledFunction.objects.count() == 20


@pytest.mark.django_db
@either_way
@pytest.mark.usefixtures("ten_functions")
def test_a_bulk_or_a_loop_over_the_limit_can_be_undone_with_its_savepoint(schedule):
    with transaction.atomic():
        schedule(4)
        with pytest.raises(TooManyScheduled), transaction.atomic():
            schedule(3)
            with transaction.atomic():
                schedule(3)
            schedule(1)
        assert ScheduledFunction.objects.count() == 4
        schedule(6)
        with pytest.raises(TooManyScheduled):
            schedule(1)
    assert ScheduledFunction.objects.count() == 10


@pytest.mark.django_db
@pytest.mark.usefixtures("ten_functions")
def test_savepoints_that_end_well_go_on_counting():
    with transaction.atomic():
        for _ in range(5):
            with transaction.atomic():
                schedule(2)
        with pytest.raises(TooManyScheduled):
            schedule(1)


@pytest.mark.usefixtures("ten_functions")
def test_each_transaction_counts_anew():
    for _ in range(3):
        with transaction.atomic():
            schedule(10)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        schedule(10)
        raise ZeroDivisionError
    with transaction.atomic():
        schedule(10)
    assert ScheduledFunction.objects.count() == 40


@pytest.mark.usefixtures("ten_functions")
def test_outside_of_a_transaction_every_call_is_its_own():
    schedule(25)
    schedule_in_bulk(10)
    schedule_in_bulk(10)
    with pytest.raises(TooManyScheduled):
        schedule_in_bulk(11)
    assert ScheduledFunction.objects.count() == 45


@pytest.mark.usefixtures("ten_functions")
def test_a_mutation_has_the_limits_of_its_own_transaction():
    @mutation
    def schedule_more(ctx: Context, *, number: int) -> None:
        schedule(number)

    ctx.run_mutation(schedule_more, number=10)
    with pytest.raises(TooManyScheduled):
        ctx.run_mutation(schedule_more, number=11)
    assert ScheduledFunction.objects.count() == 10


@pytest.mark.django_db
@either_way
@pytest.mark.usefixtures("ten_functions")
def test_a_warning_is_logged_once_above_80_percent_of_the_functions(schedule, warnings):
    with transaction.atomic():
        schedule(8)
        assert warnings() == []
        schedule(1)
        schedule(1)
    (message,) = warnings()
    assert "9 of the 10 functions" in message
    assert "tests:write" in message


@pytest.mark.django_db
@either_way
@pytest.mark.usefixtures("thousand_bytes")
def test_a_warning_is_logged_once_above_80_percent_of_the_bytes(schedule, warnings):
    with transaction.atomic():
        schedule(8, HUNDRED_BYTES)
        assert warnings() == []
        schedule(2, HUNDRED_BYTES)
    (message,) = warnings()
    assert "of the 1,000 bytes of arguments" in message


@pytest.mark.django_db
@pytest.mark.usefixtures("ten_functions")
def test_a_log_handler_that_raises_changes_nothing(capsys):
    class Full(logging.Handler):
        def emit(self, record):
            raise RuntimeError("the log is full")

    handler, logger = Full(), logging.getLogger("django_scheduler")
    logger.addHandler(handler)
    try:
        with transaction.atomic():
            schedule(10)
    finally:
        logger.removeHandler(handler)
    assert ScheduledFunction.objects.count() == 10
    assert "the log is full" in capsys.readouterr().err


def test_the_limits_are_those_of_the_design():
    settings = get_settings()
    assert settings.MAX_SCHEDULED_PER_TRANSACTION == 1_000
    assert settings.MAX_ARGUMENT_BYTES_PER_TRANSACTION == 16 * 1024 * 1024
    assert settings.MAX_BULK_SCHEDULED_PER_TRANSACTION == 100_000
    assert settings.MAX_BULK_ARGUMENT_BYTES_PER_TRANSACTION == 256 * 1024 * 1024


def test_they_hold_without_any_setting():
    with transaction.atomic():
        schedule(1_000)
        with pytest.raises(TooManyScheduled):
            schedule(1)
    with pytest.raises(ArgumentsTooLarge):
        schedule(1, "x" * 16 * 1024 * 1024)
    assert issubclass(TooManyScheduled, SchedulerError)
    assert issubclass(ArgumentsTooLarge, SchedulerError)
    assert ScheduledFunction.objects.count() == 1_000
