"""Scheduling in bulk: all or nothing, in order, one statement per thousand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_scheduler import Context, action, ctx
from django_scheduler.errors import FunctionNotFound, InvalidArguments, InvalidSchedule
from django_scheduler.models import ScheduledFunction
from tests.functions import write
from tests.models import Entry

pytestmark = pytest.mark.django_db(transaction=True)

#: For calls that a type checker would reject.
unchecked: Any = ctx


def labels(number):
    return [{"label": str(n)} for n in range(number)]


def inserts(queries):
    return [query["sql"] for query in queries.captured_queries if query["sql"].startswith("INSERT")]


@pytest.mark.parametrize("within_a_transaction", [True, False])
@pytest.mark.parametrize(("number", "statements"), [(1, 1), (999, 1), (1_000, 1), (1_001, 2), (2_500, 3)])
def test_one_statement_per_thousand_and_ids_in_the_order_of_the_arguments(number, statements, within_a_transaction):
    with CaptureQueriesContext(connection) as queries:
        if within_a_transaction:
            with transaction.atomic():
                ids = ctx.scheduler.run_after_many(0, write, labels(number))
        else:
            ids = ctx.scheduler.run_after_many(0, write, labels(number))
    assert len(inserts(queries)) == statements
    assert ids == sorted(set(ids))
    stored = dict(ScheduledFunction.objects.values_list("pk", "args"))
    assert [stored[function_id] for function_id in ids] == labels(number)


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("number", [2, 1_000])
def test_what_they_have_in_common_is_sent_once_and_their_arguments_as_one_parameter(number):
    sent = []

    def note(execute, sql, params, many, context):
        if sql.startswith("INSERT"):
            sent.append((len(sql), [type(param) for param in params]))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        ctx.scheduler.run_after_many(0, write, labels(number))
    [(length, params)] = sent
    assert length < 500
    assert params == [str, str, str]  # name, queue, arguments


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("binding", [True, False])
@pytest.mark.parametrize("number", [1, 2, 1_001])
def test_wherever_parameters_are_put_into_the_statement(number, binding):
    """The server can do it as well as the driver, with psycopg 3."""
    when = timezone.now() - timedelta(seconds=1)
    connection.close()
    options = connection.settings_dict["OPTIONS"]
    connection.settings_dict["OPTIONS"] = {**options, "server_side_binding": binding}
    try:
        ids = ctx.scheduler.run_after_many(timedelta(microseconds=1), write, labels(number))
        others = ctx.scheduler.run_at_many(when, write, labels(number))
    finally:
        connection.settings_dict["OPTIONS"] = options
        connection.close()
    stored = dict(ScheduledFunction.objects.values_list("pk", "args"))
    assert [stored[function_id] for function_id in (*ids, *others)] == labels(number) * 2
    assert set(ScheduledFunction.objects.filter(pk__in=others).values_list("scheduled_time", flat=True)) == {when}


def test_ids_are_those_of_the_arguments_in_whatever_order_the_database_returns_them():
    def reverse(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if not sql.startswith("INSERT"):
            return result
        rows = context["cursor"].fetchall()
        context["cursor"].fetchall = lambda: rows[::-1]
        return result

    with connection.execute_wrapper(reverse):
        ids = ctx.scheduler.run_after_many(0, write, labels(5))
    stored = dict(ScheduledFunction.objects.values_list("pk", "args"))
    assert [stored[function_id] for function_id in ids] == labels(5)


@pytest.mark.only_on("mysql")
@pytest.mark.parametrize("step", [1, 2, 7])
def test_ids_where_the_server_does_not_return_them_and_leaves_some_to_other_servers(step, monkeypatch):
    # MySQL returns no ids, and in a cluster with several writers each has every second one, for example.
    monkeypatch.setattr(connection.features, "can_return_columns_from_insert", False)

    def join_another_server(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if sql.startswith("INSERT"):
            with connection.cursor() as cursor:
                cursor.execute("SET SESSION auto_increment_increment = @@auto_increment_increment + 1")
        return result

    with connection.cursor() as cursor:
        cursor.execute("SET SESSION auto_increment_increment = %s", [step])
    try:
        one = ctx.scheduler.run_after(0, write, label="one")
        ids = ctx.scheduler.run_after_many(0, write, labels(5))
        with connection.execute_wrapper(join_another_server):
            more = ctx.scheduler.run_after_many(0, write, labels(5))
    finally:
        connection.close()
    stored = dict(ScheduledFunction.objects.values_list("pk", "args"))
    assert stored.pop(one) == {"label": "one"}
    assert [stored[function_id] for function_id in ids] == labels(5)
    assert [stored[function_id] for function_id in more] == labels(5)


@pytest.mark.django_db
def test_arguments_that_no_database_takes_in_one_statement_are_spread_over_several():
    large = "x" * 5_000_000
    ids = ctx.scheduler.run_after_many(0, write, [{"label": f"{n}{large}"} for n in range(5)])
    stored = ScheduledFunction.objects.in_bulk(ids)
    assert [stored[function_id].args["label"][0] for function_id in ids] == list("01234")


def test_they_run_in_the_order_of_the_arguments(execute_due):
    ctx.scheduler.run_after_many(0, write, labels(10))
    execute_due()
    assert [entry.label for entry in Entry.objects.order_by("pk")] == [str(n) for n in range(10)]


@pytest.mark.django_db
def test_a_time_for_all_of_them():
    when = timezone.now().replace(microsecond=0) + timedelta(days=1)
    ctx.scheduler.run_at_many(when, write, labels(3))
    milliseconds = (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    ctx.scheduler.run_at_many(milliseconds, write, labels(3))
    assert set(ScheduledFunction.objects.values_list("scheduled_time", "due_time")) == {(when, when)}


@pytest.mark.django_db
@pytest.mark.parametrize("nothing", [[], (), iter([])])
def test_nothing_to_schedule_is_nothing_to_do(nothing):
    with CaptureQueriesContext(connection) as queries:
        assert ctx.scheduler.run_after_many(0, write, nothing) == []
    assert queries.captured_queries == []


@pytest.mark.django_db
def test_a_generator_will_do():
    ids = ctx.scheduler.run_after_many(0, write, ({"label": str(n)} for n in range(3)))
    assert len(ids) == 3


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("bad", "what"),
    [
        ({}, "argument: 'label'"),
        ({"label": "a", "color": "red"}, "unexpected keyword argument 'color'"),
        ({"label": object()}, "argument label"),
        ("label", "one dict of arguments each, not with str"),
        (["label"], "not with list"),
        (None, "not with NoneType"),
        ({1: "a"}, "keywords must be strings"),
    ],
)
def test_one_bad_item_and_nothing_is_scheduled(bad, what):
    with pytest.raises(InvalidArguments) as caught:
        ctx.scheduler.run_after_many(0, write, [*labels(1_500), bad])
    assert what in str(caught.value)
    assert "tests:write" in str(caught.value)
    assert "at position 1500" in str(caught.value)
    assert not ScheduledFunction.objects.exists()


@pytest.mark.django_db
def test_one_dict_is_not_a_list_of_dicts():
    with pytest.raises(InvalidArguments, match="it takes a list of dicts of arguments"):
        unchecked.scheduler.run_after_many(0, write, {"label": "a"})


@pytest.mark.django_db
def test_the_rest_is_refused_as_for_one():
    with pytest.raises(InvalidSchedule):
        ctx.scheduler.run_after_many(-1, write, labels(1))
    with pytest.raises(InvalidSchedule):
        ctx.scheduler.run_at_many(datetime(2030, 1, 1), write, labels(1))
    with pytest.raises(FunctionNotFound):
        ctx.scheduler.run_after_many(0, "tests:rite", labels(1))


@pytest.mark.django_db
def test_if_a_later_statement_fails_the_earlier_ones_are_undone():
    inserts_seen = 0

    def fail_the_second_insert(execute, sql, params, many, context):
        nonlocal inserts_seen
        inserts_seen += sql.startswith("INSERT")
        if sql.startswith("INSERT") and inserts_seen == 2:
            return execute("INSERT INTO no_such_table VALUES (1)", None, many, context)
        return execute(sql, params, many, context)

    with transaction.atomic():
        Entry.objects.create(label="kept")
        with connection.execute_wrapper(fail_the_second_insert), pytest.raises(Exception, match="no_such_table"):
            ctx.scheduler.run_after_many(0, write, labels(2_000))
    assert not ScheduledFunction.objects.exists()
    assert Entry.objects.count() == 1


def test_what_an_action_schedules_in_bulk_knows_its_parent(execute_due):
    @action
    def spread(ctx: Context) -> None:
        ctx.scheduler.run_after_many(0, write, labels(3))

    function_id = ctx.scheduler.run_after(0, spread)
    execute_due()
    assert ScheduledFunction.objects.filter(parent_id=function_id).count() == 3
    assert Entry.objects.count() == 3
