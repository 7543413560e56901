"""Whatever is called with keys, rolled back, canceled, executed and killed: it comes out as a simple model says."""

from dataclasses import replace
from datetime import datetime, timedelta
from threading import Event

import pytest
from django.db.models import Count
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from django_scheduler import ctx
from django_scheduler.databases import database_for
from django_scheduler.models import Key, ScheduledFunction, State
from django_scheduler.record import delete_unheld_keys
from tests.crash.test_model import FUNCTIONS, Row, Schedule, names, run_model

LIMIT = timedelta(minutes=12)


class KeyedSchedule(Schedule):
    """Adds to the model who holds which key, and what the labels are."""

    def __init__(self) -> None:
        super().__init__()
        Key.objects.all().delete()
        #: By name and key.
        self.holders: dict[tuple[str, str], int] = {}
        self.labels: dict[int, str] = {}
        self.created: dict[int, datetime] = {}
        self.earlier: list[tuple[dict[tuple[str, str], int], dict[int, str]]] = []
        self.calls = 0

    @precondition(lambda self: len(self.blocks) < 4)
    @rule()
    def begin_block(self) -> None:
        super().begin_block()
        self.earlier.append((dict(self.holders), dict(self.labels)))

    @precondition(lambda self: self.blocks)
    @rule(commit=st.booleans())
    def end_block(self, commit: bool) -> None:
        holders, labels = self.earlier.pop()
        if not commit:
            self.holders, self.labels = holders, labels
        super().end_block(commit)

    @rule(
        name=names,
        keys=st.lists(st.sampled_from("abc"), min_size=1, max_size=4),
        minutes=st.sampled_from([0, 5, 15]),
        replaces=st.booleans(),
        is_limited=st.booleans(),
    )
    def call_with_keys(self, name: str, keys: list[str], minutes: int, replaces: bool, is_limited: bool) -> None:
        delay = timedelta(minutes=minutes)
        limit = LIMIT if replaces and is_limited else None
        options = ctx.scheduler.options(
            key=lambda label: label[0], existing="replace" if replaces else "keep", max_wait=limit
        )
        labels = []
        for key in keys:
            self.calls += 1
            labels.append(f"{key}{self.calls}")
        if len(labels) == 1:
            ids = [options.run_after(delay, FUNCTIONS[name], label=labels[0])]
        else:
            ids = list(options.run_after_many(delay, FUNCTIONS[name], [{"label": label} for label in labels]))
        for key, label, function_id in zip(keys, labels, ids, strict=True):
            due = self.clock + delay
            holder = self.holders.get((name, key))
            if holder is not None and self.waits(holder):
                assert function_id == holder
                if replaces:
                    due = min(due, self.created[holder] + limit) if limit else due
                    self.rows[holder] = replace(self.rows[holder], due=max(due, self.clock))
                    self.labels[holder] = label
            else:
                assert function_id not in self.rows
                self.ids.append(function_id)
                self.rows[function_id] = Row(name, min(due, self.clock + limit) if limit else due)
                self.labels[function_id] = label
                self.created[function_id] = self.clock
                self.holders[name, key] = function_id

    def waits(self, function_id: int) -> bool:
        """Return whether it takes in calls with its key: not once it has begun, also while it waits for a retry."""
        row = self.rows[function_id]
        return row.state == "pending" and not row.has_begun

    @precondition(lambda self: not self.blocks)
    @rule()
    def delete_keys(self) -> None:
        delete_unheld_keys(database_for("default"), Event())
        held = {pk for pk in self.holders.values() if self.rows[pk].state in ("pending", "in_progress")}
        assert set(Key.objects.values_list("function_id", flat=True)) == held

    @invariant()
    def at_most_one_waits_with_a_key_and_it_is_what_the_calls_have_made_it(self) -> None:
        pending = ScheduledFunction.objects.filter(state=State.PENDING, key__isnull=False)
        waiting = pending.filter(attempts=0)
        assert not waiting.values("name", "key").annotate(number=Count("pk")).filter(number__gt=1).exists()
        assert {pk: (args["label"], due) for pk, args, due in pending.values_list("pk", "args", "due_time")} == {
            pk: (label, self.rows[pk].due) for pk, label in self.labels.items() if self.rows[pk].state == "pending"
        }


@pytest.mark.timeout(300)
def test_whatever_happens_is_as_the_model_says(execute_due, settings, monkeypatch):
    run_model(KeyedSchedule, execute_due, settings, monkeypatch)
