"""Commands do the same for keyword arguments of ``call_command`` as for the options of a command line."""

import re
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import TestCase
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.models import Executor, ScheduledFunction, State
from tests.functions import write

pytestmark = pytest.mark.once

COMMANDS = ("runscheduler", "scheduler_status", "checkscheduled", "prunescheduled", "synccrons")


def states() -> dict[int, str]:
    return dict(ScheduledFunction.objects.values_list("pk", "state"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((), {"once": True}),
        (("--once",), {}),
        ((["--once", "--concurrency", 1],), {}),
        ((), {"once": True, "drain": False, "reload": None, "queue": None, "concurrency": "1", "grace": "5"}),
        ((), {"once": 1, "queues": ("default", "email"), "processes": 0}),
    ],
    ids=str,
)
def test_once_executes_what_is_due_and_returns(arguments: Any, options: Any):
    due = ctx.scheduler.run_after(0, write, label="due")
    later = ctx.scheduler.run_after(timedelta(days=1), write, label="later")

    call_command("runscheduler", *arguments, verbosity=0, **options)

    assert states() == {due: State.SUCCESS, later: State.PENDING}


@pytest.mark.django_db(transaction=True)
def test_drain_executes_until_nothing_is_pending():
    now = ctx.scheduler.run_after(0, write, label="now")
    soon = ctx.scheduler.run_after(20, write, label="soon")

    call_command("runscheduler", drain=True, verbosity=0)

    assert states() == {now: State.SUCCESS, soon: State.SUCCESS}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("queue", ["email", ["email"], ("email",), {"email"}], ids=str)
def test_one_queue_can_be_given_as_its_name(queue: Any):
    email = ctx.scheduler.run_after(0, write, label="email")
    ScheduledFunction.objects.update(queue="email")
    other = ctx.scheduler.run_after(0, write, label="other")

    call_command("runscheduler", once=True, queue=queue, verbosity=0)

    assert states() == {email: State.SUCCESS, other: State.PENDING}


@pytest.mark.parametrize(
    ("command", "options", "complaint"),
    [
        ("runscheduler", {"once": True, "drain": True}, "--drain: not allowed with argument --once"),
        ("runscheduler", {"drain": True, "reload": True}, "--reload: not allowed with argument --drain"),
        ("runscheduler", {"once": "yes"}, "--once: 'yes' is neither True nor False"),
        ("runscheduler", {"concurrency": 0}, "--concurrency: 0 is not greater than 0"),
        ("runscheduler", {"concurrency": 1.5}, "--concurrency: '1.5' is not a whole number"),
        ("runscheduler", {"concurrency": True}, "--concurrency: 'True' is not a whole number"),
        ("runscheduler", {"processes": -1}, "--processes: -1 is less than 0"),
        ("runscheduler", {"grace": float("nan")}, "--grace: nan is not greater than 0"),
        ("runscheduler", {"max_memory": "lots"}, "--max-memory: 'lots' is not a size of memory"),
        ("runscheduler", {"max_functions": "many"}, "--max-functions: 'many' is not a whole number"),
        ("scheduler_metrics", {"port": "many"}, "--port: 'many' is not valid"),
        ("runscheduler", {"for": "soon"}, "--for: 'soon' is not a duration"),
        ("runscheduler", {"for": timedelta(minutes=1), "once": True}, "--for has no meaning with --once"),
        ("runscheduler", {"queue": 5}, "--queue: 5 is neither a str nor a list of them"),
        ("runscheduler", {"queue": ["email", 5]}, "--queue: ['email', 5] is neither a str nor a list of them"),
        ("runscheduler", {"verbosity": 7}, "--verbosity: 7 is none of 0, 1, 2, 3"),
        ("scheduler_status", {"max_lag": "long"}, "--max-lag: 'long' is not a number"),
        ("scheduler_status", {"json": "yes"}, "--json: 'yes' is neither True nor False"),
        ("prunescheduled", {"older_than": 30}, "--older-than: '30' is not a duration"),
        ("prunescheduled", {"older_than": "soon"}, "--older-than: 'soon' is not a duration"),
        ("prunescheduled", {"older_than": timedelta(days=-1)}, "--older-than: -1 day, 0:00:00 is less than 0"),
        *((command, {"database": "nowhere"}, "There is no database 'nowhere'") for command in COMMANDS),
    ],
)
def test_a_wrong_keyword_is_refused_as_on_the_command_line(command: str, options: dict[str, Any], complaint: str):
    with pytest.raises(CommandError, match=re.escape(complaint)):
        call_command(command, **options)


class InsideATestCase(TestCase):
    def test_an_executor_says_that_it_cannot_see_the_transaction(self):
        for options in ({"once": True}, {"drain": True}, {}, {"processes": 0}, {"processes": 2}, {"reload": True}):
            with (
                self.subTest(options=options),
                pytest.raises(CommandError, match=r"cannot see .* open on 'default'.* django_scheduler.testing"),
            ):
                call_command("runscheduler", **options)

    def test_the_other_commands_see_it(self):
        function_id = ctx.scheduler.run_after(0, write, label="old")
        ScheduledFunction.objects.update(state=State.SUCCESS, completed_time=timezone.now() - timedelta(days=2))
        Executor.objects.all().delete()

        call_command("checkscheduled", stdout=StringIO())
        call_command("synccrons", stdout=StringIO())
        with pytest.raises(CommandError, match="No executor is alive"):
            call_command("scheduler_status", json=True, max_lag=1, stdout=StringIO(), stderr=StringIO())
        call_command("prunescheduled", older_than="3d", verbosity=0)
        assert list(states()) == [function_id]
        call_command("prunescheduled", older_than=timedelta(days=1), verbosity=0)
        assert not states()


@pytest.mark.django_db
@pytest.mark.parametrize("command", COMMANDS[1:])
def test_before_migrate_a_command_says_what_to_run(command: str):
    def of_tomorrow(execute: Callable[..., Any], sql: str, *others: Any) -> Any:
        return execute(re.sub(r"(django_scheduler_\w+)", r"\1_of_tomorrow", sql), *others)

    with (
        pytest.raises(CommandError, match=r"(?s)of_tomorrow.*manage.py migrate") as refused,
        transaction.atomic(),
        connection.execute_wrapper(of_tomorrow),
    ):
        call_command(command, stdout=StringIO())

    assert isinstance(refused.value.__cause__, DatabaseError)


@pytest.mark.parametrize("command", COMMANDS[3:])
@pytest.mark.django_db
def test_wrong_settings_are_told_without_a_traceback(command: str, settings):
    settings.DJANGO_SCHEDULER = {"RETENTOIN": None}
    with pytest.raises(CommandError, match="RETENTOIN"):
        call_command(command, stdout=StringIO(), skip_checks=True)


@pytest.mark.parametrize(
    ("command", "arguments", "hint"),
    [
        ("runscheduler", ["--concurency", "5"], "Did you mean '--concurrency'?"),
        ("scheduler_status", ["--maxlag", "5"], "Did you mean '--max-lag'?"),
        ("checkscheduled", ["--database", "defualt"], "Did you mean 'default'?"),
        ("cancelscheduled", ["--function", "tests:wirte", "--no-input"], "Did you mean 'tests:write'?"),
    ],
)
def test_a_misspelt_word_of_a_command_line_is_answered_with_the_nearest(command, arguments, hint, transactional_db):
    with pytest.raises(CommandError, match=re.escape(hint)):
        call_command(command, *arguments)
