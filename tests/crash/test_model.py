"""Whatever is scheduled, rolled back, canceled and executed, whoever crashes meanwhile, and however time passes: it
comes out as a simple model says."""

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

from django_scheduler import ctx
from django_scheduler.errors import AlreadyFinished, UnknownScheduledFunction
from django_scheduler.executor.execution import FunctionExecution
from django_scheduler.models import Executor, ScheduledFunction
from tests.functions import note, write, write_and_raise, write_internally
from tests.models import Entry
from tests.support.soak import examples

FUNCTIONS = {function.name: function for function in (write, write_internally, write_and_raise, note)}
OUTCOMES = {name: "failed" if name == "tests:write_and_raise" else "success" for name in FUNCTIONS}

names = st.sampled_from(sorted(FUNCTIONS))

START = datetime.fromisoformat("2030-01-01T00:00:00+00:00")


@dataclass(frozen=True)
class Row:
    name: str
    due: datetime
    state: str = "pending"


class Schedule(RuleBasedStateMachine):
    """The model is what is on record, and a snapshot of it for each transaction and savepoint that is open."""

    clock: ClassVar[datetime] = START
    execute_due: ClassVar[Callable[[], None]]

    def __init__(self) -> None:
        super().__init__()
        for model in (Entry, ScheduledFunction, Executor):
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

    @rule(name=names, minutes=st.sampled_from([0, 0, 5, 15]), number=st.integers(1, 4))
    def schedule(self, name: str, minutes: int, number: int) -> None:
        delay = timedelta(minutes=minutes)
        for function_id in ctx.scheduler.run_after_many(delay, FUNCTIONS[name], [{"label": "model"}] * number):
            self.ids.append(function_id)
            self.rows[function_id] = Row(name, self.clock + delay)

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
        canceled = ctx.scheduler.cancel_all(name) if name else ctx.scheduler.cancel_all(everything=True)
        assert canceled == len(chosen)
        for function_id in chosen:
            self.rows[function_id] = replace(self.rows[function_id], state="canceled")

    @precondition(lambda self: not self.blocks)
    @rule()
    def execute(self) -> None:
        Schedule.execute_due()
        for function_id, row in self.rows.items():
            if row.state == "in_progress":  # its executor has crashed
                self.rows[function_id] = replace(row, state="failed")
            elif row.state == "pending" and row.due <= self.clock:
                self.rows[function_id] = replace(row, state=OUTCOMES[row.name])
        assert not Executor.objects.exists()

    @precondition(lambda self: not self.blocks)
    @rule(name=names, number=st.integers(1, 3), bodies=st.integers(1, 4), before=st.booleans())
    def crash(self, name: str, number: int, bodies: int, before: bool) -> None:
        """An executor begins so many bodies, and is killed before or after the last one of them."""
        self.schedule(name, 0, number)
        execute_and_crash(bodies, before=before)
        states = dict(ScheduledFunction.objects.values_list("pk", "state"))
        begun = 0
        for function_id, row in self.rows.items():
            # How far it came depends on how it puts mutations together. What it may not do is anything else.
            possible = {row.state}
            if row.state == "in_progress":
                possible = {"in_progress", "failed"}
            elif row.state == "pending" and row.due <= self.clock:
                possible |= {OUTCOMES[row.name]} | ({"in_progress"} if row.name == "tests:note" else set())
            assert states[function_id] in possible
            begun += row.state == "pending" and states[function_id] == "in_progress"
            self.rows[function_id] = replace(row, state=states[function_id])
        assert begun <= 1

    @invariant()
    def every_state_is_as_it_should_be(self) -> None:
        states = dict(ScheduledFunction.objects.values_list("pk", "state"))
        assert states == {function_id: row.state for function_id, row in self.rows.items()}

    @invariant()
    def every_effect_is_there_exactly_once(self) -> None:
        written = Counter(Entry.objects.values_list("function_id", flat=True))
        for function_id, row in self.rows.items():
            times = written.pop(function_id, 0)
            if row.state == "success":
                assert times == 1
            elif row.name == "tests:note" and row.state in ("in_progress", "failed", "canceled"):
                assert times <= 1
            else:
                assert times == 0
        assert not written


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


@pytest.mark.timeout(300)
def test_whatever_happens_is_as_the_model_says(execute_due, settings, monkeypatch):
    settings.DJANGO_SCHEDULER = {"CLOCK": "python", "RETENTION": None}
    monkeypatch.setattr(timezone, "now", lambda: Schedule.clock)
    monkeypatch.setattr(Schedule, "execute_due", staticmethod(execute_due), raising=False)
    run_state_machine_as_test(
        Schedule,
        settings=hypothesis_settings(
            max_examples=examples(8, 30), stateful_step_count=25, suppress_health_check=list(HealthCheck)
        ),
    )
