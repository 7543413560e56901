"""Who was silent while no heartbeat could be written is not taken for gone: one look after the other, at any time."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.db import OperationalError

from django_scheduler import Context, action, ctx
from django_scheduler.databases import database_for
from django_scheduler.executor import recovery
from django_scheduler.executor.heartbeat import Registration
from django_scheduler.executor.recovery import Recovery
from django_scheduler.models import Executor, ScheduledFunction, State
from tests.support.records import record


@action
def work_elsewhere(ctx: Context) -> None: ...


class Observer:
    """An executor that looks when the test says so."""

    def __init__(self, now: SimpleNamespace) -> None:
        self._now = now
        self.registration = Registration(database_for("default"), queues=[], concurrency=1, running=list)
        self.registration.register()
        self.recovery = Recovery(self.registration.database, self.registration, lambda: None)

    def look_at(self, *seconds: float) -> None:
        for each in seconds:
            self._now.seconds = each
            self.recovery.look()
            self.recovery.record()


@pytest.fixture
def observer(transactional_db, monkeypatch) -> Observer:
    """With a heartbeat every 10 seconds, and a timeout of 30."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(recovery, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return Observer(now)


@pytest.fixture
def elsewhere(transactional_db) -> Registration:
    """An executor on another host, which is executing an action."""
    registration = Registration(database_for("default"), queues=[], concurrency=1, running=list)
    registration.register()
    Executor.objects.filter(pk=registration.name).update(process_space="another host")
    return registration


@pytest.fixture
def is_lost(elsewhere) -> Callable[[], bool]:
    """Whether its action is recorded as lost."""
    function_id = ctx.scheduler.run_after(0, work_elsewhere)
    row = ScheduledFunction.objects.filter(pk=function_id)
    row.update(state=State.IN_PROGRESS, executor=elsewhere.name)
    return lambda: record(function_id).state == State.FAILED


def test_silent_executor_is_gone_once_it_has_been_seen_silent_for_the_timeout(observer, elsewhere, is_lost):
    observer.look_at(0, 10, 20, 29)
    assert not is_lost()
    observer.look_at(30)
    assert is_lost()


def test_each_heartbeat_begins_the_time_anew(observer, elsewhere, is_lost):
    observer.look_at(0, 10, 20)
    elsewhere.beat()
    observer.look_at(30, 40, 50)
    assert not is_lost()
    observer.look_at(60)
    assert is_lost()


def test_silence_in_which_the_observer_wrote_no_heartbeat_does_not_count(observer, elsewhere, is_lost):
    observer.look_at(0, 10, 20)  # then the database is away
    observer.look_at(80, 90, 100)
    assert not is_lost()
    observer.look_at(110)
    assert is_lost()


def test_silence_in_which_the_observer_met_an_error_does_not_count(observer, elsewhere, is_lost, monkeypatch):
    def fail() -> bool:
        raise OperationalError("the database is starting up")

    observer.look_at(0, 10, 20)
    with monkeypatch.context() as context:
        context.setattr(observer.registration, "beat", fail)
        with pytest.raises(OperationalError):
            observer.look_at(25)
    observer.look_at(30, 40, 50)
    assert not is_lost()
    observer.look_at(60)
    assert is_lost()


def test_executor_that_is_not_on_record_takes_nobody_for_gone(observer, elsewhere, is_lost):
    observer.look_at(0, 10, 20)
    observer.registration.unregister()
    observer.look_at(30)  # when it registers again
    assert not is_lost()
    observer.look_at(40, 50, 60)
    assert not is_lost()
    observer.look_at(70)
    assert is_lost()


def test_heartbeat_that_is_written_just_before_the_deletion_counts(observer, elsewhere, is_lost, monkeypatch):
    observer.look_at(0, 10, 20)
    remove = recovery._remove
    monkeypatch.setattr(recovery, "_remove", lambda *arguments: (elsewhere.beat(), remove(*arguments)))
    observer.look_at(30)
    assert not is_lost()
