"""At most one call of a function waits with a key."""

import re
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.errors import ArgumentsTooLarge, InvalidSchedule, TooManyScheduled
from django_scheduler.functions import registry
from django_scheduler.models import Key, ScheduledFunction, State
from django_scheduler.scheduling import interventions
from tests.functions import write, write_and_raise, write_internally
from tests.models import Entry
from tests.scheduling.keys.functions import schedule_own_key, tell_the_end
from tests.support.in_process import execute_with_one_worker
from tests.support.records import record
from tests.support.statements import statements_through

pytestmark = pytest.mark.django_db

#: For calls that a type checker would reject.
unchecked: Any = ctx

HOUR = timedelta(hours=1)


def keeping(key="k"):
    return ctx.scheduler.options(key=key)


def replacing(key="k", **options):
    return ctx.scheduler.options(key=key, existing="replace", **options)


def waiting(name="tests:write"):
    return list(ScheduledFunction.objects.filter(name=name, state=State.PENDING).order_by("pk"))


def labels():
    return [row.args["label"] for row in waiting()]


def seconds_ahead(row):
    return round((row.due_time - timezone.now()).total_seconds())


def test_the_second_call_with_a_key_is_content_with_the_first_one():
    first = keeping().run_after(HOUR, write, label="first")
    before = ScheduledFunction.objects.values().get(pk=first)

    assert keeping().run_after(0, write, label="second") == first

    assert ScheduledFunction.objects.values().get() == {**before, "absorbed": 1}
    assert record(first).key == "k"


def test_the_second_call_that_replaces_gives_its_arguments_and_its_time_and_the_id_stays():
    first = replacing().run_after(HOUR, write, label="first")
    before = record(first)

    assert replacing().run_after(2 * HOUR, write, label="second") == first

    (row,) = waiting()
    assert (row.args, row.key) == ({"label": "second"}, "k")
    assert seconds_ahead(row) == 7200
    assert (row.scheduled_time, row.creation_time) == (before.scheduled_time, before.creation_time)


def test_what_replaces_takes_over_all_that_the_new_call_says():
    plain = replacing().run_after(HOUR, write, label="first")
    options = replacing(queue="bulk", priority=7, expires=HOUR, on_complete=(tell_the_end, {"label": "done"}))
    options.run_after(HOUR, write, label="second")
    row = record(plain)
    assert (row.queue, row.priority) == ("bulk", 7)
    [callback] = row.callbacks or []
    assert callback["args"] == {"label": "done"}
    assert row.expires_time is not None
    assert round((row.expires_time - timezone.now()).total_seconds()) == 7200

    replacing().run_after(HOUR, write, label="third")
    row = record(plain)
    assert (row.queue, row.priority, row.callbacks, row.expires_time) == ("default", 0, None, None)


def test_what_stays_keeps_all_that_it_has():
    options = ctx.scheduler.options(key="k", queue="bulk", expires=HOUR, on_complete=(tell_the_end, {"label": "done"}))
    first = options.run_after(HOUR, write, label="first")
    before = record(first)
    keeping().run_after(0, write, label="second")
    after = record(first)
    for column in ("queue", "due_time", "expires_time", "callbacks", "args"):
        assert getattr(after, column) == getattr(before, column)


def test_other_keys_and_other_functions_are_no_concern():
    ids = {
        keeping("a").run_after(0, write, label="1"),
        keeping("b").run_after(0, write, label="1"),
        keeping("A").run_after(0, write, label="1"),
        keeping("a ").run_after(0, write, label="1"),
        keeping("a").run_after(0, write_internally, label="1"),
        ctx.scheduler.run_after(0, write, label="1"),
    }
    assert len(ids) == 6


@pytest.mark.parametrize("existing", ["keep", "replace"])
@pytest.mark.parametrize("end", ["success", "failed", "canceled", "in_progress"])
def test_what_does_not_wait_any_more_holds_no_key(existing, end):
    options = ctx.scheduler.options(key="k", existing=existing)
    first = options.run_after(0, write, label="first")
    ScheduledFunction.objects.filter(pk=first).update(state=end)
    second = options.run_after(0, write, label="second")
    assert second != first
    assert options.run_after(0, write, label="third") == second


@pytest.mark.parametrize("existing", ["keep", "replace"])
def test_what_waits_for_a_retry_has_begun_and_holds_no_key(existing):
    options = ctx.scheduler.options(key="k", existing=existing)
    first = options.run_after(0, write, label="first")
    ScheduledFunction.objects.filter(pk=first).update(attempts=1)
    second = options.run_after(0, write, label="second")
    assert second != first
    assert options.run_after(0, write, label="third") == second
    assert record(first).args == {"label": "first"}


@pytest.mark.parametrize("existing", ["keep", "replace"])
def test_what_has_expired_takes_no_call_in_although_nobody_has_recorded_that(existing):
    options = ctx.scheduler.options(key="k", existing=existing)
    first = options.options(expires=HOUR).run_after(HOUR, write, label="first")
    ScheduledFunction.objects.filter(pk=first).update(expires_time=timezone.now() - HOUR)
    assert options.run_after(0, write, label="second") != first


def test_what_was_deleted_holds_no_key():
    first = keeping().run_after(0, write, label="first")
    ScheduledFunction.objects.all().delete()
    assert keeping().run_after(0, write, label="second") != first
    assert labels() == ["second"]


def test_a_canceled_one_is_replaced_by_a_new_one():
    first = keeping().run_after(0, write, label="first")
    ctx.scheduler.cancel(first)
    assert keeping().run_after(0, write, label="second") != first


def test_a_callable_is_given_the_arguments_by_name():
    options = ctx.scheduler.options(key=lambda label, **others: f"key of {label}")
    first = options.run_after(0, write, label="a")
    assert options.run_after(0, write, label="a") == first
    assert options.run_after(0, write, label="b") != first
    assert record(first).key == "key of a"


def test_what_a_callable_raises_is_raised_and_nothing_is_scheduled():
    with pytest.raises(ZeroDivisionError):
        ctx.scheduler.options(key=lambda label: str(1 / 0)).run_after(0, write, label="a")
    assert not waiting()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": ""}, "1 to 255 characters"),
        ({"key": "x" * 256}, "1 to 255 characters"),
        ({"key": "a\0"}, "without NUL"),
        ({"key": 7}, "A key is a text"),
        ({"existing": "replace"}, "add key="),
        ({"existing": "keep"}, "add key="),
        ({"key": "k", "existing": "drop"}, '"keep" or "replace"'),
        ({"key": "k", "max_wait": HOUR}, 'existing="replace"'),
        ({"key": "k", "existing": "keep", "max_wait": HOUR}, 'existing="replace"'),
        ({"key": "k", "existing": "replace", "max_wait": timedelta(0)}, "must be a positive timedelta"),
        ({"key": "k", "existing": "replace", "max_wait": -HOUR}, "must be a positive timedelta"),
        ({"key": "k", "existing": "replace", "max_wait": 20}, "must be a positive timedelta"),
        ({"key": "k", "existing": "replace", "max_wait": "1"}, "must be a positive timedelta"),
    ],
)
def test_what_cannot_be_is_refused_and_says_what_to_do(options, message):
    with pytest.raises(InvalidSchedule) as caught:
        unchecked.scheduler.options(**options)
    assert message in str(caught.value)


@pytest.mark.parametrize("returned", ["", "x" * 256, None, 7, "a\0"])
def test_what_a_callable_returns_has_to_be_a_key(returned):
    with pytest.raises(InvalidSchedule, match="tests:write was not scheduled: its key= has returned"):
        unchecked.scheduler.options(key=lambda label: returned).run_after(0, write, label="a")
    assert not waiting()


def test_a_key_may_be_as_long_as_it_may_and_of_any_characters():
    for key in ("x" * 255, "ключ 🗝 'quoted' %s", "with blanks and\nlines"):
        first = keeping(key).run_after(0, write, label="a")
        assert keeping(key).run_after(0, write, label="b") == first
        assert record(first).key == key


def test_later_options_count_and_no_key_takes_what_belongs_to_it_along():
    options = replacing("a", max_wait=HOUR)
    first = options.run_after(0, write, label="1")
    assert options.options(key="b").run_after(0, write, label="2") != first
    without = options.options(key=None)
    assert without.run_after(0, write, label="3") != without.run_after(0, write, label="4")


# In bulk


@pytest.mark.parametrize("existing", ["keep", "replace"])
def test_in_bulk_each_call_has_its_key_and_its_id_in_their_order(existing):
    options = ctx.scheduler.options(key=lambda label: label[0], existing=existing)
    before = options.run_after(HOUR, write, label="b0")

    ids = options.run_after_many(HOUR, write, [{"label": label} for label in ("c1", "a1", "b1", "c2", "a2", "c3")])

    c, a, b = ids[:3]
    assert b == before
    assert ids == [c, a, b, c, a, c]
    expected = {c: "c1", a: "a1", b: "b0"} if existing == "keep" else {c: "c3", a: "a2", b: "b1"}
    assert {row.pk: row.args["label"] for row in waiting()} == expected
    assert {row.pk: row.key for row in waiting()} == {c: "c", a: "a", b: "b"}
    assert options.run_after_many(HOUR, write, [{"label": "a"}, {"label": "b"}]) == [a, b]


def test_in_bulk_a_few_statements_do_for_a_thousand_keys():
    options = ctx.scheduler.options(key=lambda label: label)
    arguments = [{"label": str(number)} for number in range(1_000)]
    with CaptureQueriesContext(connection) as queries:
        ids = options.run_after_many(0, write, arguments)
    assert len(queries) <= 12
    with CaptureQueriesContext(connection) as queries:
        assert options.run_after_many(0, write, arguments) == ids
    assert len(queries) <= 8


def test_in_bulk_one_key_for_all_makes_no_sense():
    with pytest.raises(InvalidSchedule, match="tests:write was not scheduled: in bulk, key= is a callable"):
        keeping().run_after_many(0, write, [{"label": "a"}])
    with pytest.raises(InvalidSchedule, match="at position 1"):
        unchecked.scheduler.options(key=lambda label: label).run_after_many(0, write, [{"label": "a"}, {"label": ""}])
    assert ctx.scheduler.options(key=lambda label: label).run_after_many(0, write, []) == []


# As part of a transaction


@pytest.mark.parametrize("existing", ["keep", "replace"])
def test_a_rollback_restores_the_earlier_time_arguments_and_key(existing):
    options = ctx.scheduler.options(key="k", existing=existing)
    first = options.run_after(HOUR, write, label="first")
    before = ScheduledFunction.objects.values().get()
    keys = list(Key.objects.values())
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        options.run_after(0, write, label="second")
        options.options(key="another").run_after(0, write, label="other")
        raise ZeroDivisionError
    assert ScheduledFunction.objects.values().get() == before
    assert list(Key.objects.values()) == keys
    assert options.run_after(HOUR, write, label="third") == first


def test_a_savepoint_that_is_rolled_back_restores_what_came_before_it_in_the_transaction():
    with transaction.atomic():
        first = replacing().run_after(HOUR, write, label="first")
        replacing().run_after(HOUR, write, label="second")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            replacing().run_after(0, write, label="third")
            replacing("other").run_after(0, write, label="other")
            raise ZeroDivisionError
        assert labels() == ["second"]
    assert replacing().run_after(HOUR, write, label="fourth") == first


def test_the_first_call_that_is_rolled_back_never_was():
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        keeping().run_after(0, write, label="first")
        raise ZeroDivisionError
    keeping().run_after(0, write, label="second")
    assert labels() == ["second"]
    assert not Key.objects.exclude(function__in=ScheduledFunction.objects.values("pk")).exists()


@pytest.mark.django_db(transaction=True)
def test_each_call_counts_against_the_limits_whatever_becomes_of_it(settings):
    settings.DJANGO_SCHEDULER = {"MAX_SCHEDULED_PER_TRANSACTION": 3, "MAX_ARGUMENT_BYTES_PER_TRANSACTION": 1_000}
    with transaction.atomic():
        for _ in range(3):
            keeping().run_after(0, write, label="a")
        with pytest.raises(TooManyScheduled):
            keeping().run_after(0, write, label="a")
    with transaction.atomic(), pytest.raises(ArgumentsTooLarge):
        replacing().run_after(0, write, label="a" * 1_000)
    assert labels() == ["a"]


def test_without_a_key_nothing_of_it_is_asked():
    with CaptureQueriesContext(connection) as queries:
        ctx.scheduler.run_after(0, write, label="a")
    assert len(queries) == 1
    assert not Key.objects.exists()


def test_a_call_that_is_content_takes_three_statements_within_a_transaction():
    keeping().run_after(0, write, label="a")
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        keeping().run_after(0, write, label="b")
    assert len(queries) <= 4  # on MySQL and MariaDB one more


# Executing


def test_it_runs_once_with_the_arguments_of_the_last_call_that_replaced(execute_due):
    with transaction.atomic():  # on SQLite, the executor waits
        for label in "abc":
            replacing().run_after(0, write, label=label)
    execute_due()
    assert [entry.label for entry in Entry.objects.all()] == ["c"]
    replacing().run_after(0, write, label="d")
    execute_due()
    assert [entry.label for entry in Entry.objects.order_by("pk")] == ["c", "d"]


def test_a_mutation_may_schedule_itself_with_its_own_key(execute_due):
    options = ctx.scheduler.options(key="own")
    options.run_after(0, schedule_own_key, label="a", more=2)
    execute_due()
    assert [entry.label for entry in Entry.objects.order_by("pk")] == ["a", "a+", "a++"]


def test_a_mutation_that_keeps_its_own_key_runs_again_too(execute_due):
    runs = []

    @mutation
    def again(ctx: Context, *, more: int) -> None:
        runs.append(more)
        if more:
            ids = [ctx.scheduler.options(key="again").run_after(0, again, more=more - 1) for _ in range(3)]
            assert len(set(ids)) == 1
            assert ids[0] != ctx.function_id

    ctx.scheduler.options(key="again").run_after(0, again, more=2)
    execute_due()
    assert runs == [2, 1, 0]


def test_an_action_in_progress_holds_no_key(execute_due):
    ids = []

    @action
    def again(ctx: Context, *, more: int) -> None:
        ids.append(ctx.function_id)
        if more:
            ctx.scheduler.options(key="again").run_after(0, again, more=more - 1)

    ctx.scheduler.options(key="again").run_after(0, again, more=2)
    execute_due()
    assert len(set(ids)) == 3


def test_a_call_of_a_canceled_action_takes_no_key(execute_due):
    ids: list[int] = []

    @action
    def cancel_and_schedule(context: Context) -> None:
        ScheduledFunction.objects.filter(pk=context.function_id or 0).update(state=State.CANCELED)
        ids.append(context.scheduler.options(key="k").run_after(0, write, label="of the canceled"))

    ctx.scheduler.run_after(0, cancel_and_schedule)
    execute_due()
    assert record(ids[0]).state == State.CANCELED
    assert not Key.objects.exists()
    keeping().run_after(HOUR, write, label="another")
    assert labels() == ["another"]


def test_a_failed_one_that_runs_again_carries_no_key(execute_due):
    first = ctx.scheduler.options(key="k").run_after(0, write_and_raise, label="first")
    execute_due()
    assert record(first).state == State.FAILED
    interventions.run_again("default", [first])
    again = ScheduledFunction.objects.get(rerun_of=first)
    assert again.key is None
    second = ctx.scheduler.options(key="k").run_after(HOUR, write_and_raise, label="second")
    assert second not in (first, again.pk)


def test_what_is_run_now_or_rescheduled_keeps_its_key():
    first = keeping().run_after(HOUR, write, label="first")
    interventions.reschedule("default", [first], timezone.now() + 3 * HOUR)
    assert keeping().run_after(0, write, label="second") == first
    interventions.run_now("default", [first])
    assert replacing().run_after(2 * HOUR, write, label="third") == first
    assert seconds_ahead(record(first)) == 7200


@pytest.mark.django_db(transaction=True)
def test_executors_never_ask_for_keys_and_claim_by_the_same_statement_whether_functions_have_keys_or_not():
    def claims(options):
        options.run_after_many(HOUR, write, [{"label": f"later {each}"} for each in range(1_000)])
        options.run_after_many(0, write, [{"label": str(each)} for each in range(7)])
        sent: list[str] = []

        def note(execute, sql, *arguments):
            sent.append(sql)
            return execute(sql, *arguments)

        with statements_through(note):
            execute_with_one_worker()
        ScheduledFunction.objects.all().delete()
        assert not [sql for sql in sent if Key._meta.db_table in sql or "call_key" in sql]
        claims = [sql for sql in sent if sql.startswith("SELECT id, name, kind")]
        assert claims
        return {re.sub(r"LIMIT \d+", "LIMIT", sql) for sql in claims}

    assert claims(ctx.scheduler) == claims(ctx.scheduler.options(key=lambda label: label))


# A renamed function


def rename(monkeypatch, function, aliases):
    monkeypatch.setattr(type(function), "aliases", property(lambda self: aliases if self is function else []))
    assert registry.get(function.name) is function


def test_what_waits_under_the_old_name_of_a_function_is_found_under_the_new_one(monkeypatch):
    old = keeping().run_after(HOUR, write, label="old")
    rename(monkeypatch, write_internally, ["tests:write"])

    assert replacing().run_after(HOUR, write_internally, label="new") == old
    assert (record(old).name, record(old).args) == ("tests:write_internally", {"label": "new"})


def test_old_code_finds_what_new_code_has_scheduled_under_another_name(monkeypatch):
    with monkeypatch.context() as new_code:
        rename(new_code, write_internally, ["tests:write"])
        new = keeping().run_after(HOUR, write_internally, label="new")
    assert keeping().run_after(HOUR, write, label="old") == new


# Async callers


@pytest.mark.django_db(transaction=True)
def test_async_callers_have_keys_too():
    options = ctx.scheduler.options(key=lambda label: label[0], existing="replace")

    async def call() -> tuple[int, int, list[int]]:
        return (
            await options.arun_after(HOUR, write, label="a1"),
            await options.arun_at(timezone.now() + HOUR, write, label="a2"),
            [*await options.arun_after_many(HOUR, write, [{"label": "b"}, {"label": "a3"}])],
        )

    first, second, (other, third) = async_to_sync(call)()
    assert first == second == third != other
    assert record(first).args == {"label": "a3"}
