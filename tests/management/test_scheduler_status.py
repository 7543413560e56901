"""``manage.py scheduler_status`` shows it to people and scripts, and its exit code is a health check."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_scheduler import ctx, limits
from django_scheduler.models import Executor
from django_scheduler.pausing import pause
from tests.admin import limited_functions  # noqa: F401  (declares the limits)
from tests.functions import write, write_with_priority
from tests.status.records import (
    be_due_for,
    put_living_executor_on_record,
    put_silent_executor_on_record,
    put_starts_on_record,
    put_waiting_on_record,
)
from tests.support.forked_processes import run
from tests.support.in_process import executing

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


class Answer:
    def __init__(self, *arguments: str) -> None:
        output, errors = StringIO(), StringIO()
        self.exit_code = 0
        try:
            call_command("scheduler_status", *arguments, stdout=output, stderr=errors, no_color=True)
        except CommandError as end:  # which manage.py writes to standard error, and exits with its code
            if not output.getvalue():
                raise  # it was not answered
            self.exit_code = end.returncode
            errors.write(f"{end}\n")
        self.output, self.errors = output.getvalue(), errors.getvalue()


def test_it_is_healthy_while_an_executor_is_alive():
    with executing() as executor:
        answer = Answer("--max-lag=10")

    assert (answer.exit_code, answer.errors) == (0, "")
    assert f"{executor.name}  alive" in answer.output


def test_it_is_not_healthy_when_no_executor_is_on_record():
    answer = Answer()

    assert answer.exit_code == 1
    assert answer.errors == "No executor is alive, so nothing is executed. Start one: manage.py runscheduler\n"


def test_it_is_not_healthy_when_every_executor_is_silent():
    put_silent_executor_on_record()

    answer = Answer()

    assert answer.exit_code == 1
    assert "stale" in answer.output


@pytest.mark.parametrize(("max_lag", "exit_code"), [("50", 1), ("200", 0)])
def test_it_is_not_healthy_when_a_due_function_waits_for_too_long(max_lag, exit_code):
    be_due_for(ctx.scheduler.run_after(0, write, label="due"), 100)
    put_living_executor_on_record()

    answer = Answer(f"--max-lag={max_lag}")

    assert answer.exit_code == exit_code
    assert ("and may wait for 50 s" in answer.errors) == bool(exit_code)


def test_text_has_a_line_for_each_number():
    lines = Answer().output.splitlines()

    assert [line.split()[0] for line in lines] == ["pending", "lag", "running", "finished", "executors"]


def test_text_shows_each_queue():
    ctx.scheduler.run_after_many(timedelta(hours=1), write, [{"label": "later"}] * 1_200)
    ctx.scheduler.run_after(0, write_with_priority, label="due")

    answer = Answer()

    assert "pending   1,201, of which due: 1" in answer.output
    assert "default  1,200" in answer.output
    assert "email" in answer.output


def test_json_says_the_same():
    be_due_for(ctx.scheduler.run_after(0, write, label="due"), 100)

    with executing(queues=["another"]) as executor:
        answer = Answer("--json", "--max-lag=50")

    told = json.loads(answer.output)
    assert answer.exit_code == 1
    assert (told["healthy"], told["pending"], told["due"], told["running"]) == (False, 1, 1, 0)
    assert told["lag"] >= 100
    assert [each["message"] for each in told["problems"]] == answer.errors.splitlines()
    assert [(each["code"], each["queue"], each["is_warning"]) for each in told["problems"]] == [
        ("queue_not_served", "default", False),
        ("late", "default", False),
    ]
    assert [(each["queue"], each["served_by"]) for each in told["queues"]] == [("default", [])]
    assert [(each["name"], each["is_alive"]) for each in told["executors"]] == [(executor.name, True)]


@pytest.mark.parametrize(("hung", "exit_code"), [(1, 0), (2, 1)])
def test_it_says_how_many_threads_are_held_by_bodies_that_do_not_end(hung, exit_code):
    put_silent_executor_on_record()
    running = [{"id": number, "name": "tests:write", "is_given_up": True} for number in range(hung)]
    Executor.objects.update(running=running, concurrency=2, heartbeat_time=timezone.now())

    answer, as_json = Answer(), Answer("--json")

    assert (answer.exit_code, as_json.exit_code) == (exit_code, exit_code)
    assert f"held      {hung} thread" in answer.output
    assert f"2, {hung} held" in answer.output
    told = json.loads(as_json.output)
    assert (told["held_threads"], told["executors"][0]["held_threads"]) == (hung, hung)
    if exit_code:
        assert "Executor elsewhere:7:0 has no thread left that works" in answer.errors
        assert "tests:write 1" in answer.errors


def test_pause_is_shown_and_what_waits_for_it_is_not_late():
    be_due_for(ctx.scheduler.run_after(0, write, label="due"), 100)
    pause("default", "default", reason="the bank is closed", paused_by="ada")

    with executing():
        answer, as_json = Answer("--max-lag=50"), Answer("--json", "--max-lag=50")

    assert (answer.exit_code, as_json.exit_code) == (0, 0)
    head, pause_line = answer.output.split("\n\n")[2].splitlines()
    assert head.split() == ["paused", "since", "by", "reason"]
    assert pause_line.startswith("default  ")
    assert pause_line.endswith("UTC  ada  the bank is closed")
    told = json.loads(as_json.output)
    assert told["lag"] >= 100
    assert [(each["queue"], each["reason"]) for each in told["pauses"]] == [("default", "the bank is closed")]
    assert [each["is_paused"] for each in told["queues"]] == [True]


def test_text_says_how_many_executors_serve_each_queue():
    ctx.scheduler.run_after(0, write, label="due")
    ctx.scheduler.run_after(0, write_with_priority, label="due")
    put_living_executor_on_record(queues=["default"])
    put_living_executor_on_record(name="another", queues=["default"])

    answer = Answer()

    head, *lines = answer.output.split("\n\n")[1].splitlines()
    assert head.split() == ["queue", "pending", "due", "lag", "executors"]
    assert [(line.split()[0], line.split()[-1]) for line in lines] == [("default", "2"), ("email", "0")]


def test_warnings_are_shown_and_leave_the_exit_code_alone():
    put_living_executor_on_record()
    pause("default", "email", reason="the bank is closed")

    answer, as_json = Answer(), Answer("--json")

    assert (answer.exit_code, as_json.exit_code) == (0, 0)
    assert "the bank is closed" in answer.errors
    told = json.loads(as_json.output)
    assert (told["healthy"], [each["is_warning"] for each in told["problems"]]) == (True, [True])


def test_unknown_database_is_refused():
    with pytest.raises(CommandError, match="no database 'nowhere'"):
        Answer("--database=nowhere")


@pytest.mark.parametrize("wrong", ["soon", "-1", "nan"])
def test_lag_that_is_no_number_of_seconds_is_refused(wrong):
    with pytest.raises(CommandError, match="max-lag"):
        Answer(f"--max-lag={wrong}")


def test_names_on_record_make_up_no_line():
    put_silent_executor_on_record()
    Executor.objects.update(name="web-1\x1b[2K\nlag       0.0 s")
    pause("default", reason="moving\nlag       0.0 s")
    answer = Answer()
    assert "web-1\\x1b[2K\\nlag" in answer.output
    assert [line.split()[0] for line in answer.output.splitlines() if line].count("lag") == 1


def test_open_batches_are_counted_and_have_a_line_if_there_are_any():
    for _ in range(2):
        with ctx.scheduler.batch() as batch:
            batch.run_after(timedelta(hours=1), write, label="later")
    with ctx.scheduler.batch():
        pass  # it has ended

    assert "batches   2 open" in Answer().output.splitlines()
    assert json.loads(Answer("--json").output)["open_batches"] == 2


def test_a_health_check_of_a_shell_is_given_exit_code_1_and_the_reason(child_environment):
    process = run(["-m", "django", "scheduler_status"], child_environment)

    assert process.returncode == 1
    assert process.stderr.splitlines()[-1].startswith("CommandError: No executor is alive, so nothing is executed.")


def test_it_says_what_waits_for_which_limit():
    put_living_executor_on_record()
    put_waiting_on_record("bank [7]", 100)
    limits.change("default", "bank", 0, reason="closed", changed_by="ada")

    answer, as_json = Answer(), Answer("--json")

    (line,) = [line for line in answer.output.splitlines() if line.startswith("bank")]
    assert line.split()[:5] == ["bank", "0", "(code:", "2)", "0"]
    assert "ada" in line
    assert answer.exit_code == 0
    assert "The limit “bank” is set to 0" in answer.errors
    (limit,) = [each for each in json.loads(as_json.output)["limits"] if each["name"] == "bank"]
    assert (limit["waiting"], limit["concurrency"], limit["declared"], limit["is_set"]) == (1, 0, 2, True)
    assert "9000" not in answer.output + as_json.output


def test_it_says_what_waits_for_which_rate_limit():
    put_living_executor_on_record()
    put_waiting_on_record("bank rate [7]", 100)
    put_starts_on_record("bank rate [7]", 1)
    put_waiting_on_record("former rate [7]", 100)
    limits.change("default", "bank rate", 5, reason="slower", changed_by="ada")

    answer, as_json = Answer(), Answer("--json")

    _, _, table = answer.output.partition("rate limit ")
    lines = [line.split() for line in table.splitlines()]
    assert lines[1][:8] == ["bank", "5", "in", "10", "s", "(code:", "10)", "1"]
    assert lines[2][:3] == ["former", "?", "0"]
    (limit,) = [each for each in json.loads(as_json.output)["rate_limits"] if each["name"] == "bank"]
    assert (limit["waiting"], limit["rate"], limit["per"], limit["declared"], limit["is_set"]) == (1, 5, 10, 10, True)
