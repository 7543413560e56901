"""manage.py prunescheduled deletes what has finished long ago, and nothing else."""

import os
import pty
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from django_scheduler import ctx, mutation
from django_scheduler.management.arguments import duration, written
from django_scheduler.models import Batch, ScheduledFunction, State
from django_scheduler.record.deletion import ROWS_PER_TRANSACTION
from tests.support.forked_processes import run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


def finish(state=State.SUCCESS, *, ago, count=1):
    ids = ctx.scheduler.run_after_many(0, "tests:write", [{"label": "old"}] * count)
    ScheduledFunction.objects.filter(pk__in=ids).update(state=state, completed_time=timezone.now() - ago)
    return set(ids)


def prune(*arguments):
    output = StringIO()
    call_command("prunescheduled", *arguments, stdout=output)
    return output.getvalue()


def left():
    return set(ScheduledFunction.objects.values_list("pk", flat=True))


def test_without_options_it_deletes_what_retention_has_passed_for():
    young = finish(ago=timedelta(days=6))
    finish(State.FAILED, ago=timedelta(days=8))
    pending = {ctx.scheduler.run_after(0, "tests:write", label="pending")}
    assert "Deleted 1 functions" in prune()
    assert left() == young | pending


@pytest.mark.parametrize(("arguments", "days"), [([], 8), (["--older-than=12h"], 1)])
def test_batches_that_ended_go_too(arguments, days):
    ids = []
    for _ in range(3):
        with ctx.scheduler.batch() as batch:
            ids.append(batch.id)
    Batch.objects.filter(pk=ids[0]).update(completed_time=timezone.now() - timedelta(days=days))
    Batch.objects.filter(pk=ids[1]).update(completed_time=None)
    prune(*arguments)
    assert set(Batch.objects.values_list("pk", flat=True)) == {*ids[1:]}


def test_older_than_says_how_long_ago():
    young = finish(ago=timedelta(hours=11))
    finish(State.CANCELED, ago=timedelta(hours=13))
    assert "more than 12h ago" in prune("--older-than=12h")
    assert left() == young


def test_all_that_has_finished_can_go_in_several_transactions():
    finish(ago=timedelta(minutes=1), count=ROWS_PER_TRANSACTION * 2 + 1)
    assert "Deleted 2,001 functions" in prune("--older-than=0s")
    assert not left()


def test_retention_for_ever_asks_what_to_delete(settings):
    settings.DJANGO_SCHEDULER = {"RETENTION": None}
    finish(ago=timedelta(days=1000))
    with pytest.raises(CommandError, match="RETENTION'] is None"):
        prune()
    assert "Deleted 1 functions" in prune("--older-than=30d")


def test_functions_whose_own_retention_is_longer_stay(settings):
    @mutation(retention=timedelta(days=30))
    def kept(ctx): ...

    @mutation(retention=timedelta(hours=1))
    def brief(ctx): ...

    def finished(function, ago):
        function_id = ctx.scheduler.run_after(0, function)
        ScheduledFunction.objects.filter(pk=function_id).update(
            state=State.SUCCESS, completed_time=timezone.now() - ago
        )
        return function_id

    staying = {finished(kept, timedelta(days=29)), finished(brief, timedelta(minutes=59))}
    finished(kept, timedelta(days=31)), finished(brief, timedelta(hours=2)), finish(ago=timedelta(days=8))
    assert "Deleted 3 functions that had finished more than 7d ago, or whose own retention had passed." in prune()
    assert left() == staying
    two_days = finished(brief, timedelta(days=2))
    assert "Deleted 0 functions that" in prune("--older-than=3d")
    assert "Deleted 1 functions that" in prune("--older-than=30m")
    assert two_days not in left()
    settings.DJANGO_SCHEDULER = {"RETENTION": None}
    finished(brief, timedelta(hours=2)), finish(ago=timedelta(days=1000))
    assert "Deleted 1 functions whose own retention had passed." in prune()


def test_at_verbosity_0_nothing_is_printed():
    finish(ago=timedelta(days=8))
    assert prune("--verbosity=0") == ""
    assert not left()


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        ("--older-than=soon", "'soon' is not a duration, such as 90s"),
        ("--older-than=-1d", "expected one argument|is not a duration"),
        ("--older-than=1 d", "'1 d' is not a duration"),
        ("--older-than=99999w", "99999w is longer than a hundred years"),
        ("--older-than=999999999999d", "is longer than a hundred years"),
        ("--database=nowhere", "There is no database 'nowhere' in DATABASES"),
    ],
)
def test_wrong_option_is_refused_with_the_reason(argument, complaint):
    with pytest.raises(CommandError, match=complaint):
        prune(argument)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("90s", {"seconds": 90}),
        ("1.5h", {"minutes": 90}),
        ("30m", {"minutes": 30}),
        ("2w", {"days": 14}),
        ("1d12h", {"hours": 36}),
    ],
)
def test_duration_is_a_number_and_a_unit_or_several_of_them(text, parts):
    assert duration(text) == timedelta(**parts)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36_000)))
def test_duration_is_written_as_it_is_read(value):
    seconds = timedelta(seconds=round(value.total_seconds()))
    assert duration(written(seconds)) == seconds


def test_progress_is_shown_on_a_terminal(child_environment):
    finish(ago=timedelta(days=8), count=1500)
    terminal, its_end = pty.openpty()
    process = run(["-m", "django", "prunescheduled"], child_environment, stderr=its_end)
    assert process.returncode == 0
    os.close(its_end)
    with os.fdopen(terminal, "rb", buffering=0) as reader:
        output = reader.read(4096).decode()
    assert "] 1000 of 1500 done, 500 left" in output
    assert "[##############################] 1500 of 1500 done, 0 left" in output
