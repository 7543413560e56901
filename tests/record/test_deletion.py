"""A project's own tables may refer to our rows: retention deletes what it can, and says what keeps the rest."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from io import StringIO
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, models
from django.db.models import CASCADE, DO_NOTHING, PROTECT, RESTRICT, SET_NULL
from django.db.models.signals import post_delete, pre_delete
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_scheduler import crons, ctx
from django_scheduler.crons import CronRun, CronRunState
from django_scheduler.crons.history import ALWAYS_KEPT, delete_expired_history
from django_scheduler.databases import database_for
from django_scheduler.models import ScheduledFunction, State
from django_scheduler.record import Retention, delete_expired, retention
from tests.functions import write

pytestmark = pytest.mark.django_db(transaction=True)

Referring = Callable[..., Any]


def finished(count: int = 1, *, days: int = 8) -> list[int]:
    ids = ctx.scheduler.run_after_many(0, write, [{"label": "old"}] * count)
    rows = ScheduledFunction.objects.filter(pk__in=ids)
    rows.update(state=State.SUCCESS, completed_time=timezone.now() - timedelta(days=days))
    return list(ids)


def left() -> set[int]:
    return set(ScheduledFunction.objects.values_list("pk", flat=True))


def delete() -> None:
    delete_expired(database_for("default"), Event())


@pytest.fixture
def referring(transactional_db) -> Iterator[Referring]:
    """Makes a model of the project with a foreign key, and its table: as long as the test lasts."""
    with ExitStack() as stack:

        def make(on_delete: Any, *, to: Any = ScheduledFunction, name: str = "Invoice") -> Any:
            return stack.enter_context(model_that_refers(to, on_delete, name))

        yield make


@contextmanager
def model_that_refers(to: Any, on_delete: Any, name: str) -> Iterator[Any]:
    key: Any = models.ForeignKey(to, on_delete, null=True, related_name="+")
    meta = type("Meta", (), {"app_label": "tests"})
    model: Any = type(name, (models.Model,), {"__module__": __name__, "Meta": meta, "to": key})
    try:
        with connection.schema_editor() as editor:
            editor.create_model(model)
        yield model
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(model)
        del apps.all_models["tests"][name.lower()]
        apps.clear_cache()


def test_cascade_takes_along_what_refers_to_it(referring):
    invoice = referring(CASCADE)
    one, _other = finished(2)
    young, *_ = finished(days=1)
    for function_id in (one, young):
        invoice.objects.create(to_id=function_id)
    delete()
    assert left() == {young}
    assert [each.to_id for each in invoice.objects.all()] == [young]


def test_what_is_set_to_null_stays(referring):
    invoice = referring(SET_NULL)
    invoice.objects.create(to_id=finished()[0])
    delete()
    assert left() == set()
    assert [each.to_id for each in invoice.objects.all()] == [None]


@pytest.mark.parametrize("on_delete", [PROTECT, RESTRICT, DO_NOTHING])
def test_what_is_protected_is_kept_and_everything_else_goes(on_delete, referring, caplog, monkeypatch):
    """With DO_NOTHING it is the constraint of the database that keeps it."""
    monkeypatch.setattr("django_scheduler.record.deletion.ROWS_PER_TRANSACTION", 100)
    invoice = referring(on_delete)
    ids = finished(250)
    kept = {ids[0], ids[1], ids[99], ids[100], ids[177], ids[-1]}
    for function_id in kept:
        invoice.objects.create(to_id=function_id)
    delete()
    assert left() == kept
    assert invoice.objects.count() == len(kept)
    (said,) = [each.getMessage() for each in caplog.records if "Retention" in each.getMessage()]
    assert "kept 6 expired functions" in said
    assert "tests.Invoice" in said or "foreign key" in said.lower()

    invoice.objects.all().delete()
    delete()
    assert left() == set()


def test_executor_waits_longer_each_time_that_something_was_kept(referring, monkeypatch, caplog):
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(retention, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    invoice = referring(RESTRICT)
    invoice.objects.create(to_id=finished()[0])
    of_executor = Retention(database_for("default"), Event())
    looked_at = []
    for seconds in range(0, 20_000, 60):
        now.seconds = seconds
        caplog.clear()
        of_executor.delete()
        if caplog.records:
            looked_at.append(seconds)
    assert looked_at[:6] == [0, 120, 360, 840, 1800, 3720]
    assert looked_at[6:] == [7320, 10920, 14520, 18120]

    invoice.objects.all().delete()
    now.seconds += 3_600
    of_executor.delete()
    assert left() == set()


def test_more_than_a_transaction_holds_may_be_protected_at_the_beginning(referring):
    invoice = referring(PROTECT)
    protected = finished(1_100, days=20)
    invoice.objects.bulk_create([invoice(to_id=function_id) for function_id in protected])
    finished(10)
    delete()
    assert left() == set(protected)


def test_what_is_protected_two_steps_away_is_kept_too(referring):
    invoice = referring(CASCADE)
    payment = referring(PROTECT, to=invoice, name="Payment")
    ids = finished(5)
    for function_id in ids[:3]:
        invoice.objects.create(to_id=function_id)
    payment.objects.create(to=invoice.objects.get(to_id=ids[1]))
    delete()
    assert left() == {ids[1]}
    assert invoice.objects.count() == payment.objects.count() == 1


def test_a_receiver_that_raises_keeps_only_what_it_is_about(referring, caplog):
    invoice = referring(CASCADE)
    ids = finished(10)
    for function_id in ids:
        invoice.objects.create(to_id=function_id)

    def refuse(instance: Any, **kwargs: Any) -> None:
        if instance.to_id == ids[4]:
            raise PermissionError("this one is being audited")

    pre_delete.connect(refuse, sender=invoice)
    try:
        delete()
    finally:
        pre_delete.disconnect(refuse, sender=invoice)
    assert left() == {ids[4]}
    assert [each.to_id for each in invoice.objects.all()] == [ids[4]]
    assert "this one is being audited" in caplog.text


def test_receivers_of_every_model_do_not_make_it_load_rows(referring):
    """Arguments and results may be of any size, and 1,000 rows are deleted at a time."""
    invoice = referring(CASCADE)
    invoice.objects.create(to_id=finished(3)[0])
    told: list[Any] = []

    def receive(sender: Any, **kwargs: Any) -> None:
        told.append(sender)

    for signal in (pre_delete, post_delete):
        signal.connect(receive)
    try:
        with CaptureQueriesContext(connection) as queries:
            delete()
    finally:
        for signal in (pre_delete, post_delete):
            signal.disconnect(receive)
    assert left() == set()
    assert told == [invoice, invoice]
    assert not [each["sql"] for each in queries.captured_queries if "args" in each["sql"] or "result" in each["sql"]]


@pytest.mark.parametrize("on_delete", [PROTECT, RESTRICT])
def test_prunescheduled_says_how_many_it_has_kept_and_why(on_delete, referring):
    invoice = referring(on_delete)
    for function_id in finished(5)[:2]:
        invoice.objects.create(to_id=function_id)
    output = StringIO()
    call_command("prunescheduled", stdout=output)
    assert "Deleted 3 functions" in output.getvalue()
    assert "Kept 2 that cannot be deleted: protected by tests.Invoice." in output.getvalue()


def test_history_of_crons_that_is_protected_keeps_no_other(referring, caplog):
    note = referring(PROTECT, to=CronRun, name="Note")
    cron = ctx.crons.register("a cron", crons.Daily(hour=3), write, label="daily")
    long_ago = timezone.now() - timedelta(days=30)
    runs = [CronRun.objects.create(cron=cron, state=CronRunState.MISSED, time=long_ago) for _ in range(ALWAYS_KEPT + 5)]
    note.objects.create(to=runs[2])
    delete_expired_history(database_for("default"))
    assert set(CronRun.objects.values_list("pk", flat=True)) == {run.pk for run in [runs[2], *runs[5:]]}
    assert "kept 1 expired cron runs" in caplog.text
