"""Whatever is scheduled, canceled, rolled back and executed, in whatever order: it comes out as a simple model says."""

from collections import Counter

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from django_scheduler import ctx
from django_scheduler.errors import AlreadyFinished, UnknownScheduledFunction
from django_scheduler.executor.executor import Executor
from django_scheduler.executor.poller import Until
from django_scheduler.models import ScheduledFunction
from tests.functions import note, write, write_and_raise, write_internally
from tests.models import Entry
from tests.support.soak import examples

FUNCTIONS = {function.name: function for function in (write, write_internally, write_and_raise, note)}
OUTCOMES = {"tests:write": "success", "tests:write_internally": "success", "tests:write_and_raise": "failed"}

names = st.sampled_from(sorted(FUNCTIONS))
#: Which of all ids there ever were; the model's own number, so that an example can be repeated.
any_id = st.integers(min_value=0, max_value=30)


class Schedule(RuleBasedStateMachine):
    """A stack of snapshots, one for each transaction and savepoint that is open, is all there is to the model."""

    def __init__(self) -> None:
        super().__init__()
        Entry.objects.all().delete()
        ScheduledFunction.objects.all().delete()
        self.ids: list[int] = []
        self.rows: dict[int, tuple[str, bool, str]] = {}
        self.snapshots: list[dict[int, tuple[str, bool, str]]] = []
        self.blocks: list[transaction.Atomic] = []

    def teardown(self) -> None:
        while self.blocks:
            self.end_block(commit=False)

    @precondition(lambda self: len(self.blocks) < 4)
    @rule()
    def begin_block(self) -> None:
        block = transaction.atomic()
        block.__enter__()
        self.blocks.append(block)
        self.snapshots.append(dict(self.rows))

    @precondition(lambda self: self.blocks)
    @rule(commit=st.booleans())
    def end_block(self, commit: bool) -> None:
        before = self.snapshots.pop()
        if not commit:
            transaction.set_rollback(True)
            self.rows = before
        self.blocks.pop().__exit__(None, None, None)

    @rule(name=names, due=st.booleans(), number=st.integers(1, 3))
    def schedule(self, name: str, due: bool, number: int) -> None:
        delay = 0 if due else 3_600_000
        arguments = [{"label": "model"}] * number
        for function_id in ctx.scheduler.run_after_many(delay, FUNCTIONS[name], arguments):
            self.ids.append(function_id)
            self.rows[function_id] = (name, due, "pending")

    @precondition(lambda self: self.ids)
    @rule(which=any_id)
    def cancel(self, which: int) -> None:
        function_id = self.ids[which % len(self.ids)]
        name, due, state = self.rows.get(function_id, ("", False, "unknown"))
        match state:
            case "unknown":
                with pytest.raises(UnknownScheduledFunction):
                    ctx.scheduler.cancel(function_id)
            case "success" | "failed":
                with pytest.raises(AlreadyFinished, match=f"{name} {function_id} .*{state}"):
                    ctx.scheduler.cancel(function_id)
            case _:
                ctx.scheduler.cancel(function_id)
                self.rows[function_id] = (name, due, "canceled")

    @rule(name=st.none() | names)
    def cancel_all(self, name: str | None) -> None:
        chosen = [i for i, row in self.rows.items() if row[2] == "pending" and name in (None, row[0])]
        assert ctx.scheduler.cancel_all(name) == len(chosen)
        for function_id in chosen:
            self.rows[function_id] = (*self.rows[function_id][:2], "canceled")

    @precondition(lambda self: not self.blocks)
    @rule()
    def execute(self) -> None:
        executor = Executor(concurrency=1, until=Until.NOTHING_DUE)
        executor.start()
        assert executor.wait(timeout=30)
        for function_id, (name, due, state) in self.rows.items():
            if due and state == "pending":
                self.rows[function_id] = (name, due, OUTCOMES.get(name, "success"))

    @invariant()
    def every_state_is_as_it_should_be(self) -> None:
        states = dict(ScheduledFunction.objects.values_list("pk", "state"))
        assert states == {function_id: state for function_id, (_, _, state) in self.rows.items()}

    @invariant()
    def every_effect_is_there_exactly_once(self) -> None:
        written = Counter(Entry.objects.values_list("function_id", flat=True))
        assert written == Counter(i for i, (_, _, state) in self.rows.items() if state == "success")


@pytest.mark.timeout(120)
def test_whatever_happens_is_as_the_model_says(transactional_db):
    run_state_machine_as_test(
        Schedule,
        settings=settings(
            max_examples=examples(8, 25),
            stateful_step_count=15,
            suppress_health_check=list(HealthCheck),
        ),
    )
