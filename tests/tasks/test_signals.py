"""Django's signals of tasks: all three are sent, and no receiver changes anything."""

import logging
import sys

import pytest
from django.db import transaction
from django.tasks import TaskResultStatus
from django.tasks.signals import task_enqueued, task_finished, task_started

from django_scheduler import tasks
from django_scheduler.databases import database_for
from django_scheduler.executor.recovery import record_lost
from django_scheduler.functions import registry
from django_scheduler.models import Kind, ScheduledFunction, State
from django_scheduler.signals import function_finished
from django_scheduler.tasks import SchedulerBackend
from tests.models import Entry
from tests.tasks import jobs

SIGNALS = {"enqueued": task_enqueued, "started": task_started, "finished": task_finished}


@pytest.fixture
def heard(connect):
    """The signals that were sent: name, status, id."""
    heard: list[tuple[str, str, str]] = []
    for name, signal in SIGNALS.items():

        def hear(sender, task_result, name=name, **kwargs):
            assert sender is SchedulerBackend
            heard.append((name, str(task_result.status), task_result.id))

        connect(signal, hear)
    return heard


@pytest.mark.parametrize("job", [jobs.add, jobs.add_async, jobs.add.using(backend="exactly_once")])
def test_all_three_are_sent_when_a_task_succeeds(execute_due, heard, job):
    result = job.enqueue(1)
    execute_due()

    assert heard == [
        ("enqueued", "READY", result.id),
        ("started", "RUNNING", result.id),
        ("finished", "SUCCESSFUL", result.id),
    ]


@pytest.mark.parametrize("job", [jobs.note_and_refuse, jobs.write_and_refuse])
def test_all_three_are_sent_when_a_task_fails(execute_due, heard, job):
    result = job.enqueue("x")
    execute_due()

    assert [(name, status) for name, status, _ in heard] == [
        ("enqueued", "READY"),
        ("started", "RUNNING"),
        ("finished", "FAILED"),
    ]
    assert {each for *_, each in heard} == {result.id}


def test_end_of_a_lost_action_is_told(heard):
    result = jobs.add.enqueue(1)
    ScheduledFunction.objects.update(state=State.IN_PROGRESS, executor="gone")

    record_lost(database_for("default"), "gone", "it is gone")

    assert heard[1:] == [("finished", "FAILED", result.id)]


@pytest.mark.parametrize(
    "backend",
    [
        {"BACKEND": "django.tasks.backends.dummy.DummyBackend"},
        {"BACKEND": "no.such.Backend"},
        {},
    ],
)
def test_no_end_is_told_where_no_backend_is_ours_and_pending_tasks_are_still_found(settings, backend):
    settings.TASKS = {"default": backend}

    assert not function_finished.has_listeners()
    assert registry.find_recorded("tests.tasks.jobs.add", Kind.ACTION) is not None


def test_end_of_a_task_is_told_by_a_backend_that_is_made_from_ours(settings, execute_due, connect):
    settings.TASKS = {"default": {"BACKEND": "tests.tasks.stand_ins.LikeDummy"}}
    heard: list[str] = []
    connect(task_finished, lambda task_result, **kwargs: heard.append(task_result.id))

    result = jobs.add.enqueue(1)
    execute_due()

    result.refresh()
    assert result.status == TaskResultStatus.SUCCESSFUL
    assert heard == [result.id]


def test_it_is_logged_as_django_logs_it(execute_due, caplog):
    with caplog.at_level(logging.DEBUG, logger="django.tasks"):
        good, bad = jobs.add.enqueue(1), jobs.note_and_refuse.enqueue("x")
        execute_due()

    lines = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "django.tasks"]
    name = "path=tests.tasks.jobs"
    assert lines == [
        ("DEBUG", f"Task id={good.id} {name}.add enqueued backend=default"),
        ("DEBUG", f"Task id={bad.id} {name}.note_and_refuse enqueued backend=default"),
        ("INFO", f"Task id={good.id} {name}.add state=RUNNING"),
        ("INFO", f"Task id={good.id} {name}.add state=SUCCESSFUL"),
        ("INFO", f"Task id={bad.id} {name}.note_and_refuse state=RUNNING"),
        ("ERROR", f"Task id={bad.id} {name}.note_and_refuse state=FAILED"),
    ]
    (failed,) = (record for record in caplog.records if record.name == "django.tasks" and record.levelname == "ERROR")
    assert failed.exc_info[0] is jobs.Refused
    (good_end,) = (record for record in caplog.records if "state=SUCCESSFUL" in record.getMessage())
    assert not good_end.exc_info


def raise_error(**kwargs):
    raise RuntimeError("a receiver went wrong")


def break_the_transaction(**kwargs):
    jobs.break_transaction()


def leave(**kwargs):
    raise SystemExit("a receiver wants to leave")


@pytest.mark.parametrize("receiver", [raise_error, break_the_transaction, leave])
@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)
@pytest.mark.parametrize("job", [jobs.write, jobs.write_once])
def test_receiver_that_goes_wrong_changes_nothing_and_is_logged(execute_due, connect, caplog, receiver, signal, job):
    connect(signal, receiver)

    with transaction.atomic():
        Entry.objects.create(label="before")
        result = job.enqueue("task")
        Entry.objects.create(label="after")
    execute_due()

    result.refresh()
    assert result.status == TaskResultStatus.SUCCESSFUL
    assert sorted(entry.label for entry in Entry.objects.all()) == ["after", "before", "task"]
    assert any(record.exc_info and "receiver" in str(record.exc_info[1]) for record in caplog.records)


def test_no_backend_of_others_is_imported_when_django_starts(settings):
    sys.modules.pop("tests.tasks.stand_ins", None)
    settings.TASKS = {"default": {"BACKEND": "tests.tasks.stand_ins.LikeDummy"}}
    tasks.register()
    assert "tests.tasks.stand_ins" not in sys.modules
