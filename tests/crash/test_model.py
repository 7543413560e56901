"""Whatever is scheduled, moved, run again, rolled back, canceled and executed, whoever crashes meanwhile, and however
time passes: it comes out as a simple model says."""

import os
import signal
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from django_scheduler import InterventionResult, ctx
from django_scheduler.errors import (
    AlreadyFinished,
    AlreadyStarted,
    NotFinished,
    SchedulerError,
    UnknownScheduledFunction,
)
from django_scheduler.executor.body import FunctionExecution
from django_scheduler.models import Batch, Executor, ScheduledFunction
from tests.functions import hear, note, note_again, write, write_and_raise, write_in_second_attempt, write_internally
from tests.models import Entry
from tests.support.soak import examples

FUNCTIONS = {
    function.name: function
    for function in (write, write_internally, write_and_raise, write_in_second_attempt, note, note_again)
}
OUTCOMES = {name: "failed" if name == "tests:write_and_raise" else "success" for name in FUNCTIONS}

#: What is raised, and what is said of one of many, where a function in a state is to be moved; of ``None``: where it is
#: not on record.
REFUSED: dict[str | None, type[SchedulerError] | None] = {
    "pending": None,
    "in_progress": AlreadyStarted,
    **dict.fromkeys(("success", "failed", "canceled"), AlreadyFinished),
    None: UnknownScheduledFunction,
}
RESULTS: dict[str | None, InterventionResult] = {
    "pending": InterventionResult.DONE,
    "in_progress": InterventionResult.IN_PROGRESS,
    "success": InterventionResult.FINISHED,
    "failed": InterventionResult.FINISHED,
    "canceled": InterventionResult.CANCELED,
    None: InterventionResult.GONE,
}

names = st.sampled_from(sorted(FUNCTIONS))

START = datetime.fromisoformat("2030-01-01T00:00:00+00:00")


@dataclass(frozen=True)
class Row:
    name: str
    due: datetime
    state: str = "pending"
    #: Whether its body has begun, and that is on record.
    has_begun: bool = False
    #: Whether its end is followed by a callback.
    is_followed: bool = False
    #: The batch that it is a member of.
    batch: int | None = None


class Schedule(RuleBasedStateMachine):
    """The model is what is on record, and a snapshot of it for each transaction and savepoint that is open."""

    clock: ClassVar[datetime] = START
    execute_due: ClassVar[Callable[[], None]]

    def __init__(self) -> None:
        super().__init__()
        for model in (Entry, ScheduledFunction, Batch, Executor):
            model._default_manager.all().delete()
        Schedule.clock = START
        self.ids: list[int] = []
        self.rows: dict[int, Row] = {}
        self.snapshots: list[dict[int, Row]] = []
        self.blocks: list[transaction.Atomic] = []

    def teardown(self) -> None:
        while self.blocks:
            self.end_block(commit=False)

    @rule(minutes=st.integers(1, 20))
    def time_passes(self, minutes: int) -> None:
        Schedule.clock += timedelta(minutes=minutes)

    @precondition(lambda self: len(self.blocks) < 4)
    @rule()
    def begin_block(self) -> None:
        self.blocks.append(transaction.atomic())
        self.blocks[-1].__enter__()
        self.snapshots.append(dict(self.rows))

    @precondition(lambda self: self.blocks)
    @rule(commit=st.booleans())
    def end_block(self, commit: bool) -> None:
        before = self.snapshots.pop()
        if not commit:
            transaction.set_rollback(True)
            self.rows = before
        self.blocks.pop().__exit__(None, None, None)

    @rule(name=names, minutes=st.sampled_from([0, 0, 5, 15]), number=st.integers(1, 4), is_followed=st.booleans())
    def schedule(self, name: str, minutes: int, number: int, is_followed: bool) -> None:
        delay = timedelta(minutes=minutes)
        scheduler = ctx.scheduler.options(on_complete=hear) if is_followed else ctx.scheduler
        for function_id in scheduler.run_after_many(delay, FUNCTIONS[name], [{"label": "model"}] * number):
            self.ids.append(function_id)
            self.rows[function_id] = Row(name, self.clock + delay, is_followed=is_followed)

    @rule(members=st.lists(names, max_size=3), minutes=st.sampled_from([0, 5]))
    def schedule_batch(self, members: list[str], minutes: int) -> None:
        delay = timedelta(minutes=minutes)
        with ctx.scheduler.batch(on_complete=hear) as batch:
            for name in members:
                function_id = batch.run_after(delay, FUNCTIONS[name], label="model")
                self.ids.append(function_id)
                self.rows[function_id] = Row(name, self.clock + delay, batch=batch.id)

    @precondition(lambda self: self.ids)
    @rule(which=st.integers(0, 30))
    def cancel(self, which: int) -> None:
        function_id = self.ids[which % len(self.ids)]
        row = self.rows.get(function_id)
        if row is None:
            with pytest.raises(UnknownScheduledFunction):
                ctx.scheduler.cancel(function_id)
        elif row.state in ("success", "failed"):
            with pytest.raises(AlreadyFinished, match=f"{row.name} {function_id} .*{row.state}"):
                ctx.scheduler.cancel(function_id)
        else:
            ctx.scheduler.cancel(function_id)
            self.rows[function_id] = replace(row, state="canceled")

    @rule(name=st.none() | names)
    def cancel_all(self, name: str | None) -> None:
        unfinished = ("pending", "in_progress")
        chosen = [i for i, row in self.rows.items() if row.state in unfinished and name in (None, row.name)]
        callbacks = 0 if name else ScheduledFunction.objects.filter(name=hear.name, state="pending").count()
        canceled = ctx.scheduler.cancel_all(name) if name else ctx.scheduler.cancel_all(everything=True)
        assert canceled == len(chosen) + callbacks
        for function_id in chosen:
            self.rows[function_id] = replace(self.rows[function_id], state="canceled")

    @precondition(lambda self: self.ids)
    @rule(which=st.integers(0, 30), minutes=st.sampled_from([-5, 0, 5, 15]))
    def reschedule(self, which: int, minutes: int) -> None:
        function_id, when = self.ids[which % len(self.ids)], self.clock + timedelta(minutes=minutes)
        row = self.rows.get(function_id)
        error = REFUSED[row.state if row else None]
        if error is None:
            ctx.scheduler.reschedule(function_id, when)
            self.moved(function_id, when)
        else:
            with pytest.raises(error, match=str(function_id)):
                ctx.scheduler.reschedule(function_id, when)

    @rule(which=st.sets(st.integers(0, 30), max_size=5), minutes=st.sampled_from([0, 5]))
    def reschedule_many(self, which: set[int], minutes: int) -> None:
        ids, when = [self.ids[each] for each in which if each < len(self.ids)], self.clock + timedelta(minutes=minutes)
        results = ctx.scheduler.run_now_many(ids) if not minutes else ctx.scheduler.reschedule_many(ids, when)
        assert results == {i: RESULTS[self.rows[i].state if i in self.rows else None] for i in ids}
        for function_id, result in results.items():
            if result is InterventionResult.DONE:
                self.moved(function_id, when)

    def moved(self, function_id: int, when: datetime) -> None:
        self.rows[function_id] = replace(self.rows[function_id], due=max(when, self.clock))

    @precondition(lambda self: self.ids)
    @rule(which=st.integers(0, 30))
    def run_again(self, which: int) -> None:
        function_id = self.ids[which % len(self.ids)]
        row = self.rows.get(function_id)
        if row is None:
            with pytest.raises(UnknownScheduledFunction):
                ctx.scheduler.run_again(function_id)
        elif row.state in ("pending", "in_progress"):
            with pytest.raises(NotFinished, match=f"{row.name} {function_id} .*{row.state}"):
                ctx.scheduler.run_again(function_id)
        else:
            new_id = ctx.scheduler.run_again(function_id)
            self.ids.append(new_id)
            self.rows[new_id] = Row(row.name, self.clock, is_followed=row.is_followed)

    @precondition(lambda self: not self.blocks)
    @rule()
    def execute(self) -> None:
        Schedule.execute_due()
        for function_id, row in self.rows.items():
            if row.state == "in_progress":  # its executor has crashed
                state = "success" if row.name == "tests:note_again" else "failed"
                self.rows[function_id] = replace(row, state=state)
            elif row.state == "pending" and row.due <= self.clock:
                self.rows[function_id] = replace(row, state=OUTCOMES[row.name])
        assert not Executor.objects.exists()

    @precondition(lambda self: not self.blocks)
    @rule(name=names, number=st.integers(1, 3), bodies=st.integers(1, 4), before=st.booleans())
    def crash(self, name: str, number: int, bodies: int, before: bool) -> None:
        """An executor begins so many bodies, and is killed before or after the last one of them."""
        self.schedule(name, 0, number, is_followed=True)
        execute_and_crash(bodies, before=before)
        states = dict(recorded().values_list("pk", "state"))
        have_begun = set(recorded().filter(attempts__gt=0).values_list("pk", flat=True))
        begun = 0
        for function_id, row in self.rows.items():
            # How far it came depends on how it puts mutations together. What it may not do is anything else.
            possible = {row.state}
            is_action = row.name in ("tests:note", "tests:note_again")
            if row.state == "in_progress":
                possible = {"in_progress", *(("pending", "success") if row.name == "tests:note_again" else ("failed",))}
            elif row.state == "pending" and row.due <= self.clock:
                possible |= {OUTCOMES[row.name]} | ({"in_progress"} if is_action else set())
            assert states[function_id] in possible
            begun += row.state == "pending" and states[function_id] == "in_progress"
            has_begun = function_id in have_begun
            is_repeated = row.state == "in_progress" or has_begun > row.has_begun
            due = self.clock if is_repeated else row.due
            self.rows[function_id] = replace(row, state=states[function_id], has_begun=has_begun, due=due)
        assert begun <= 1

    @invariant()
    def every_state_is_as_it_should_be(self) -> None:
        states = dict(recorded().values_list("pk", "state"))
        assert states == {function_id: row.state for function_id, row in self.rows.items()}
        due = dict(recorded().filter(state="pending").values_list("pk", "due_time"))
        assert due == {function_id: row.due for function_id, row in self.rows.items() if row.state == "pending"}

    @invariant()
    def every_end_is_followed_exactly_once(self) -> None:
        heard = Counter(ScheduledFunction.objects.filter(name=hear.name).values_list("parent", flat=True))
        ended = {function_id: row.state not in ("pending", "in_progress") for function_id, row in self.rows.items()}
        for function_id, row in self.rows.items():
            assert heard.pop(function_id, 0) == int(row.is_followed and ended[function_id])
        batches = dict(Batch.objects.values_list("pk", "completed_time"))
        assert heard == Counter({None: sum(1 for completed_time in batches.values() if completed_time is not None)})
        for batch_id, completed_time in batches.items():
            members = [function_id for function_id, row in self.rows.items() if row.batch == batch_id]
            assert (completed_time is not None) == all(ended[each] for each in members)

    @invariant()
    def every_effect_is_there_exactly_once(self) -> None:
        written = Counter(Entry.objects.values_list("function_id", flat=True))
        for function_id, state in ScheduledFunction.objects.filter(name=hear.name).values_list("pk", "state"):
            assert written.pop(function_id, 0) == int(state == "success")
        for function_id, row in self.rows.items():
            times = written.pop(function_id, 0)
            if row.name == "tests:note_again":
                assert times >= (row.state == "success")  # once for each time that it was killed, too
            elif row.state == "success":
                assert times == 1
            elif row.name == "tests:note" and row.state in ("in_progress", "failed", "canceled"):
                assert times <= 1
            else:
                assert times == 0
        assert not written


def recorded() -> QuerySet[ScheduledFunction]:
    """What the model knows one by one: all but callbacks."""
    return ScheduledFunction.objects.exclude(name=hear.name)


def execute_and_crash(bodies: int, *, before: bool) -> None:
    connection.close()  # whose socket the child would share
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # about threads, which have ended
        child = os.fork()
    if child == 0:
        try:
            die_in_body(bodies, before=before)
            Schedule.execute_due()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def die_in_body(bodies: int, *, before: bool) -> None:
    call = FunctionExecution.call
    begun = 0

    def call_and_die(execution: Any) -> Any:
        nonlocal begun
        begun += 1
        if begun == bodies and before:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return call(execution)
        finally:
            if begun == bodies:
                os.kill(os.getpid(), signal.SIGKILL)

    FunctionExecution.call = call_and_die  # type: ignore[assignment, method-assign]


def run_model(model: type[Schedule], execute_due: Callable[[], None], settings: Any, monkeypatch: Any) -> None:
    """Try a model against what is on record, by a clock that only the model moves."""
    settings.DJANGO_SCHEDULER = {"CLOCK": "python", "RETENTION": None}
    monkeypatch.setattr(timezone, "now", lambda: Schedule.clock)
    monkeypatch.setattr(Schedule, "execute_due", staticmethod(execute_due), raising=False)
    run_state_machine_as_test(
        model,
        settings=hypothesis_settings(
            max_examples=examples(4, 30), stateful_step_count=25, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.mark.timeout(300)
def test_whatever_happens_is_as_the_model_says(execute_due, settings, monkeypatch):
    run_model(Schedule, execute_due, settings, monkeypatch)
