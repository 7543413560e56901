"""manage.py cancelscheduled cancels by ids or by conditions, once somebody has said yes."""

import builtins
import re
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.models import ScheduledFunction, State
from tests.functions import note, write
from tests.management.typed_functions import take_typed
from tests.status.records import put_waiting_on_record

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

LATER = timedelta(hours=1)


def cancel(*arguments: object, **options: Any) -> str:
    output = StringIO()
    try:
        call_command("cancelscheduled", *arguments, stdout=output, stderr=output, **options)
    except CommandError as error:
        raise CommandError(f"{output.getvalue()}{error}") from error
    return output.getvalue()


@pytest.fixture
def answer(monkeypatch):
    """Answers what the command asks; what it has asked."""
    asked: list[str] = []

    def answer_with(text: str) -> list[str]:
        def ask(question: str) -> str:
            asked.append(question)
            return text

        monkeypatch.setattr(builtins, "input", ask)
        return asked

    return answer_with


def canceled() -> set[int]:
    return set(ScheduledFunction.objects.filter(state=State.CANCELED).values_list("pk", flat=True))


def later(function: Any = write, delay: timedelta = LATER, **args: Any) -> int:
    return ctx.scheduler.run_after(delay, function, **(args or {"label": "later"}))


def test_those_with_these_ids():
    first, second, third = later(), later(), later()
    assert cancel(first, third, first, "--no-input") == "Canceled 2 functions.\n"
    assert canceled() == {first, third}
    assert second not in canceled()


def test_what_could_not_be_canceled_is_told_and_the_exit_code_says_so(execute_due):
    done = ctx.scheduler.run_after(0, write, label="done")
    execute_due()
    pending, before = later(), later()
    ctx.scheduler.cancel(before)
    with pytest.raises(CommandError) as refused:
        cancel(pending, before, done, 987_654_321, "--no-input")
    for part in (
        f"{done} has finished already.",
        "987654321 is not on record",
        "Canceled 1 functions. Canceled already: 1.",
        "2 of 4 functions could not be canceled.",
    ):
        assert part in str(refused.value)
    assert refused.value.returncode == 1
    assert canceled() == {pending, before}


def test_what_was_canceled_already_is_no_failure():
    function_id = later()
    ctx.scheduler.cancel(function_id)
    assert cancel(function_id, "--no-input") == "Canceled 0 functions. Canceled already: 1.\n"


def test_those_of_a_function_with_arguments_that_are_read_as_its_annotations_say():
    those = {later(take_typed, amount=Decimal("1.10"), text="7"), later(take_typed, amount=Decimal("1.1"), text="7")}
    later(take_typed, amount=Decimal("1.2"), text="7"), later(take_typed, amount=Decimal("1.1"), text="8"), later()
    assert (
        cancel("--function=tests:take_typed", "--args", "amount=1.1", "text=7", "--no-input")
        == "Canceled 2 functions.\n"
    )
    assert canceled() == those


def test_those_of_any_function_with_arguments():
    those = {later(write, label="x"), later(note, label="x")}
    later(write, label="y")
    cancel("--args", "label=x", "--no-input")
    assert canceled() == those


def test_those_that_are_due_between_two_times():
    times = [later(delay=LATER * number) for number in range(1, 6)]
    now = timezone.now()
    cancel(
        f"--due-after={(now + 1.5 * LATER).isoformat()}", f"--due-before={(now + 3.5 * LATER).isoformat()}", "--noinput"
    )
    assert canceled() == {times[1], times[2]}
    cancel(due_before=now + 1.5 * LATER, interactive=False)
    assert canceled() == {*times[:3]}


def test_what_waits_for_a_limit_was_due_when_it_began_to_wait():
    first, second = put_waiting_on_record("bank [7]", 100).pk, put_waiting_on_record("bank [7]", 1_000).pk
    five_minutes_ago = timezone.now() - timedelta(minutes=5)
    cancel(due_before=five_minutes_ago, interactive=False)
    assert canceled() == {second}
    cancel(due_after=five_minutes_ago, due_before=timezone.now() - timedelta(minutes=1), interactive=False)
    assert canceled() == {first, second}
    third = put_waiting_on_record("bank [7]", 1_000).pk
    cancel(due_after=five_minutes_ago, interactive=False)
    assert third not in canceled()


@pytest.mark.parametrize(
    ("arguments", "question"),
    [
        (["--function=tests:write"], "This cancels 2 unfinished functions of tests:write. Type 'yes'"),
        (["--args", "label=x"], "This cancels 1 unfinished functions with label='x'."),
        (["--due-after=2020-01-01"], "This cancels 3 unfinished functions that are due at 2020-01-01 00:00:00+"),
        (["1", "2"], "This cancels 2 scheduled functions."),
    ],
    ids=str,
)
def test_it_says_how_many_and_asks_first(arguments, question, answer):
    later(), later(), later(note, label="x")
    asked = answer("no")
    with pytest.raises(CommandError, match="Nothing was canceled"):
        cancel(*arguments)
    assert asked[0].startswith(question)
    assert not canceled()


def test_yes_is_yes(answer):
    function_id = later()
    answer("yes")
    cancel("--function=tests:write")
    assert canceled() == {function_id}


def test_where_nobody_can_be_asked_nothing_is_canceled(monkeypatch):
    def ask(question: str) -> str:
        raise EOFError

    monkeypatch.setattr(builtins, "input", ask)
    later()
    with pytest.raises(CommandError, match="pass --no-input"):
        cancel("--function=tests:write")
    assert not canceled()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Say which functions to cancel: their ids, or --function"),
        (["7", "--function=tests:write"], "but not both"),
        (["tests:write"], "'tests:write' is not the id of a scheduled function"),
        (["99999999999999999999"], "is not the id of a scheduled function"),
        (
            ["--function=tests:write", "--args", "lable=x"],
            "tests:write has no parameter 'lable', so nothing was canceled",
        ),
        (["--function=tests:write", "--args", "label"], "'label' is no argument of a function: write name=value"),
        (["--function=tests:take_typed", "--args", "number=x"], "number=x cannot be read as int"),
        (["--due-after=soon"], "'soon' is not a time"),
        (["7", "--database=nowhere"], "There is no database 'nowhere'"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(arguments, complaint):
    later()
    with pytest.raises(CommandError, match=re.escape(complaint)):
        cancel(*arguments, "--no-input")
    assert not canceled()


@pytest.mark.parametrize("command", [("schedule", "tests:write", "label=x"), ("cancelscheduled", "7", "--no-input")])
def test_before_migrate_it_says_what_to_run(command):
    def of_tomorrow(execute: Any, sql: str, *others: Any) -> Any:
        return execute(re.sub(r"(django_scheduler_\w+)", r"\1_of_tomorrow", sql), *others)

    with (
        pytest.raises(CommandError, match=r"(?s)manage.py migrate"),
        transaction.atomic(),
        connection.execute_wrapper(of_tomorrow),
    ):
        call_command(*command, stdout=StringIO())


def test_a_name_that_nothing_has_is_refused():
    with pytest.raises(CommandError, match="Nothing is named 'tests:nope'"):
        call_command("cancelscheduled", function="tests:nope", interactive=False)
    with pytest.raises(CommandError, match="is not the id"):
        call_command("cancelscheduled", "9" * 5_000, interactive=False)


def test_options_stand_anywhere_among_the_ids():
    first, second, third = later(), later(), later()
    assert cancel(first, "--no-input", second, "--verbosity", "1", third) == "Canceled 3 functions.\n"
