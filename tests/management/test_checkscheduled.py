"""``manage.py checkscheduled``: what a deploy would break."""

from datetime import timedelta
from enum import Enum
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from django_scheduler import Context, crons, ctx, mutation
from django_scheduler.crons import Cron
from django_scheduler.models import Batch, ScheduledFunction, State
from django_scheduler.record import pending_calls
from tests.functions import hear, note, write, write_and_raise
from tests.models import Entry
from tests.testing.functions import greet

pytestmark = [pytest.mark.django_db, pytest.mark.once]


class Size(Enum):
    SMALL = 1


@mutation
def resize(ctx: Context, *, size: Size, entry: Entry | None = None) -> None: ...


def checkscheduled() -> str:
    output = StringIO()
    call_command("checkscheduled", stdout=output)
    return output.getvalue()


def checkscheduled_fails() -> tuple[str, str]:
    """What it lists, and what it says then."""
    output = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("checkscheduled", stdout=output)
    assert caught.value.returncode == 1
    return output.getvalue(), str(caught.value)


def test_nothing_pending_is_fine():
    assert "all of the 0 pending functions" in checkscheduled()


def test_what_can_be_executed_is_fine():
    ctx.scheduler.run_after(0, write, label="x")
    ctx.scheduler.run_after(timedelta(days=7), greet, name="Ada", anything="else")
    ctx.scheduler.run_after(0, resize, size=Size.SMALL, entry=Entry.objects.create(label="an argument"))

    assert "all of the 3 pending functions" in checkscheduled()


def test_a_function_that_is_gone_is_listed_with_its_nearest_name_and_ids():
    ids = [ctx.scheduler.run_after(0, write, label="x") for _ in range(2)]
    ctx.scheduler.run_after(0, note, label="fine")
    ScheduledFunction.objects.filter(pk__in=ids).update(name="tests:wriet")

    listed, said = checkscheduled_fails()

    assert "'tests:wriet'" in listed
    assert "Did you mean 'tests:write'?" in listed
    assert f"2 pending: {ids[0]}, {ids[1]}\n" in listed
    assert said.startswith("2 of 3 pending functions cannot be executed by this code.")


def test_arguments_that_no_longer_fit_are_listed():
    renamed = ctx.scheduler.run_after(0, write, label="x")
    missing = ctx.scheduler.run_after(0, note, label="x")
    ScheduledFunction.objects.filter(pk=renamed).update(args={"title": "x"})
    ScheduledFunction.objects.filter(pk=missing).update(args={})

    listed, _ = checkscheduled_fails()

    first, second = listed.split("\n  ")[0], listed.split("\n")[2]
    assert first.startswith("tests:note(*, label: str) -> str cannot be called like this: missing")
    assert second.startswith("tests:write(*, label: str) -> int cannot be called like this:")
    assert f"1 pending: {renamed}" in listed
    assert f"1 pending: {missing}" in listed


def test_values_that_cannot_be_restored_are_listed(monkeypatch):
    entry = Entry.objects.create(label="soon gone")
    ctx.scheduler.run_after(0, resize, size=Size.SMALL, entry=entry)
    entry.delete()
    ctx.scheduler.run_after(0, resize, size=Size.SMALL)
    monkeypatch.setattr("tests.management.test_checkscheduled.Size", Enum("Size", ["LARGE"], module=__name__))

    listed, said = checkscheduled_fails()

    assert said.startswith("2 of 2")
    assert "tests:resize: argument size" in listed


def test_what_is_not_pending_does_not_matter():
    ctx.scheduler.cancel(ctx.scheduler.run_after(0, write, label="x"))
    ScheduledFunction.objects.update(name="tests:gone")

    assert "all of the 0 pending functions" in checkscheduled()


def test_many_are_read_in_pages_and_told_in_one_line(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(pending_calls, "ROWS_PER_PAGE", 10)
    ids = ctx.scheduler.run_after_many(0, write_and_raise, [{"label": f"{n}"} for n in range(25)])
    ScheduledFunction.objects.update(name="tests:gone")

    with django_assert_num_queries(7):  # four of them read the functions, two the callbacks, and one the crons
        listed, said = checkscheduled_fails()

    assert listed.count("\n") == 2
    assert f"25 pending: {', '.join(map(str, ids[:5]))}, ..." in listed
    assert said.startswith("25 of 25")


def test_no_number_of_different_problems_is_too_many(monkeypatch):
    monkeypatch.setattr(pending_calls, "MOST_PROBLEMS", 2)
    for function_id in ctx.scheduler.run_after_many(0, write, [{"label": "x"}] * 5):
        ScheduledFunction.objects.filter(pk=function_id).update(name=f"tests:gone_{function_id}")

    listed, said = checkscheduled_fails()

    assert "Other problems, too many to tell them apart.\n  3 pending" in listed
    assert said.startswith("5 of 5")


def test_nothing_is_changed():
    ctx.scheduler.run_after(0, write, label="x")
    before = list(ScheduledFunction.objects.values())
    checkscheduled()
    assert list(ScheduledFunction.objects.values()) == before


def test_a_cron_that_was_registered_at_run_time_and_cannot_be_scheduled_is_listed():
    ctx.crons.register("of 7", crons.Interval(minutes=5), write, label="x")
    ctx.crons.register("of 8", crons.Interval(minutes=5), write, label="x")
    Cron.objects.filter(name="of 8").update(function="tests:wriet")

    listed, said = checkscheduled_fails()

    assert listed == (
        "The cron 'of 8': There is no mutation or action 'tests:wriet' in any installed app."
        " Did you mean 'tests:write'?\n"
    )
    assert said.startswith("1 of the crons")
    Cron.objects.filter(name="of 8").delete()
    assert "what the crons schedule" in checkscheduled()


def test_names_on_record_make_up_no_line_of_the_list():
    function_id = ctx.scheduler.run_after(0, write, label="x")
    ScheduledFunction.objects.filter(pk=function_id).update(name="tests:gone\nThis code can execute all")
    listed, _ = checkscheduled_fails()
    assert "tests:gone\\nThis code" in listed


def test_callbacks_of_what_has_not_ended_are_looked_at_too():
    callback = [{"on": "complete", "name": "tests:hear", "args": {}}]
    gone = [{"on": "failure", "name": "tests:haer", "args": {}}, {"on": "complete", "name": "tests:write", "args": {}}]
    pending, running, ended = (ctx.scheduler.run_after(0, write, label="x") for _ in range(3))
    functions = ScheduledFunction.objects
    functions.update(callbacks=callback)
    assert "their callbacks" in checkscheduled()

    functions.filter(pk=pending).update(callbacks=gone)
    functions.filter(pk=running).update(callbacks=gone, state=State.IN_PROGRESS)
    functions.filter(pk=ended).update(callbacks=gone, state=State.SUCCESS)
    listed, said = checkscheduled_fails()

    assert "The callback 'tests:haer': There is no mutation or action 'tests:haer'" in listed
    assert "The callback 'tests:write': tests:write(*, label: str) -> int cannot be called like this" in listed
    assert listed.count(f"  2 to be called after the functions: {pending}, {running}\n") == 2
    assert said.startswith("4 of 4 callbacks of what has not ended cannot be executed by this code.")


def test_callbacks_of_open_batches_are_looked_at_too():
    with ctx.scheduler.batch(on_complete=hear) as batch:
        batch.run_after(0, write, label="x")
    with ctx.scheduler.batch(on_complete=hear):
        pass  # it has ended
    assert "their callbacks" in checkscheduled()

    Batch.objects.update(callbacks=[{"on": "complete", "name": "tests:haer", "args": {}}])
    listed, said = checkscheduled_fails()

    assert f"  1 to be called after the batches: {Batch.objects.order_by('pk')[0].pk}\n" in listed
    assert said.startswith("1 of 1 callbacks")
