"""The context of a function: what middleware adds when it is scheduled, and who is given it."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from django_scheduler import Context, action, crons, ctx, mutation
from django_scheduler.errors import InvalidContext
from django_scheduler.middleware import LanguageMiddleware, serving
from django_scheduler.models import ScheduledFunction
from django_scheduler.scheduling.interventions import run_again
from django_scheduler.testing import ManualScheduler
from tests.functions import note, write, write_then_schedule
from tests.middleware import classes
from tests.middleware.classes import added, calls, events, tenant
from tests.models import Entry
from tests.support.in_process import execute_with_one_worker
from tests.support.records import record

pytestmark = pytest.mark.django_db(transaction=True)


def contexts() -> list[Any]:
    return list(ScheduledFunction.objects.order_by("pk").values_list("context", flat=True))


def test_hooks_are_called_from_the_outside_to_the_inside_and_know_what_is_scheduled(use):
    use(classes.Outer, classes.Inner)

    ctx.scheduler.run_after(0, write, label="a")

    assert events == ["outer schedules tests:write mutation default 1", "inner schedules, given ['outer']"]
    assert contexts() == [{"outer": True}]


def test_in_bulk_they_are_called_once(use):
    use(classes.Outer)

    ctx.scheduler.run_after_many(0, write, [{"label": "a"}] * 3)

    assert events == ["outer schedules tests:write mutation default 3"]
    assert contexts() == [{"outer": True}] * 3


def test_body_is_wrapped_with_what_was_stored(use):
    use(classes.Adds, classes.Inner)
    added.update(text="caf\xe9 \\u0000 \N{SNOWMAN}", number=1.5, nothing=None, nested={"of": [1, {"a": True}]})
    ctx.scheduler.run_after(0, note, label="a")
    execute_with_one_worker()

    assert calls[0].context == added


def test_context_travels_on_to_what_a_function_schedules(use, rf):
    use(classes.Tenant)
    token = tenant.set("acme")
    with serving(rf.get("/", headers={"X-Request-ID": "7f3a"})):
        ctx.scheduler.run_after(0, write_then_schedule, label="a")
    tenant.reset(token)
    execute_with_one_worker()

    assert contexts() == [{"request_id": "7f3a", "tenant": "acme"}] * 2


def test_hook_is_given_what_travels_on_and_may_change_it(use):
    use(classes.Adds, classes.Inner)
    added.update(tenant="acme", hop=1)
    ctx.scheduler.run_after(0, write_then_schedule, label="a")
    added.clear()
    added.update(hop=2)
    execute_with_one_worker()

    assert contexts() == [{"tenant": "acme", "hop": 1}, {"tenant": "acme", "hop": 2}]


def test_context_of_the_past_travels_on_where_there_is_no_middleware_any_more(use):
    use(classes.Adds)
    added.update(tenant="acme")
    ctx.scheduler.run_after(0, write_then_schedule, label="a")
    use()
    execute_with_one_worker()

    assert contexts() == [{"tenant": "acme"}] * 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"tenant": {1}}, "'tenant': {1}"),
        ({"tenant": (1, 2)}, "'tenant': (1, 2)"),
        ({"tenants": {7: "acme"}}, "'tenants': {7: 'acme'}"),
        ({7: "acme"}, "7: 'acme'"),
        ({"share": float("inf")}, "'share': inf"),
        ({"name": "a\0"}, "'name': 'a\\x00'"),
        ({"name": "\ud800"}, "'name': '\\ud800'"),
        ({"user": Entry(label="a")}, "'user': <tests.Entry None>"),
    ],
)
def test_what_is_no_json_is_refused_and_nothing_is_written(use, wrong, said):
    use(classes.Adds)
    added.update({"right": "yes", **wrong})

    with pytest.raises(InvalidContext) as refused:
        ctx.scheduler.run_after(0, write, label="a")

    assert str(refused.value).startswith("tests:write was not scheduled: its context cannot be stored as JSON, because")
    assert said in str(refused.value)
    assert "'right'" not in str(refused.value)
    assert contexts() == []


def test_too_much_is_refused_and_nothing_is_written(use):
    use(classes.Adds)
    added.update(small="a", large="x" * 4_096)

    with pytest.raises(InvalidContext, match=r"4,1\d\d bytes of JSON, and 4,096 are allowed \(most of it: 'large'"):
        ctx.scheduler.run_after_many(0, write, [{"label": "a"}] * 3)
    added.update(large="x" * 4_000)
    ctx.scheduler.run_after(0, write, label="a")

    assert len(contexts()) == 1


def test_error_of_a_hook_is_that_of_the_caller_and_nothing_is_written(use, settings):
    use(classes.RaisesWhenScheduling)
    settings.DJANGO_SCHEDULER = {**settings.DJANGO_SCHEDULER, "MAX_SCHEDULED_PER_TRANSACTION": 1}

    @mutation
    def schedule_in_vain(ctx: Context) -> None:
        for _ in range(3):
            with pytest.raises(LookupError):
                ctx.scheduler.run_after(0, write, label="a")
        use()
        ctx.scheduler.run_after(0, write, label="b")

    ctx.run_mutation(schedule_in_vain)

    assert [row.args for row in ScheduledFunction.objects.all()] == [{"label": "b"}]


def test_function_that_runs_again_keeps_what_middleware_had_added_and_is_caused_by_the_new_request(use, rf):
    use(classes.Tenant)
    token = tenant.set("acme")
    with serving(rf.get("/", headers={"X-Request-ID": "old"})):
        function_id = ctx.scheduler.run_after(0, note, label="a")
    tenant.reset(token)
    execute_with_one_worker()

    token = tenant.set("of the administrator")
    request = rf.get("/")
    request.user = type("User", (), {"pk": 7, "get_username": lambda self: "root"})()
    with serving(request):
        run_again("default", [function_id])
    tenant.reset(token)
    run_again("default", [function_id])

    assert contexts() == [
        {"request_id": "old", "tenant": "acme"},
        {"user_id": "7", "user": "root", "tenant": "acme"},
        {"request_id": "old", "tenant": "acme"},
    ]


def test_run_of_a_cron_has_what_the_hooks_add_where_it_is_fired(use, settings, monkeypatch):
    monkeypatch.setattr("django_scheduler.crons.definitions.defined_crons", crons.definitions.Definitions())
    use(classes.Outer, classes.Tenant)
    crons.register("hourly", crons.Hourly(minute=0), count_by_cron)
    with ManualScheduler() as scheduler:
        scheduler.advance(hours=1)

    assert contexts() == [{"outer": True}]


@mutation
def count_by_cron(ctx: Context) -> None: ...


def test_nothing_is_stored_without_middleware_nor_if_it_adds_nothing(use):
    ctx.scheduler.run_after(0, write, label="a")
    use(classes.Adds)
    ctx.scheduler.run_after(0, write, label="b")

    assert contexts() == [None, None]


def test_scheduling_and_executing_take_no_further_statement(use):
    def number_of_statements() -> int:
        with CaptureQueriesContext(connection) as statements, ManualScheduler() as scheduler:
            ctx.scheduler.run_after(0, write, label="a")
            scheduler.run_due()
        return len(statements)

    without = number_of_statements()
    use(classes.Outer, classes.Inner, LanguageMiddleware)
    assert number_of_statements() == without


@action
async def tell_own_language_async(ctx: Context) -> str | None:
    return translation.get_language()


@mutation
def tell_own_language(ctx: Context) -> str | None:
    ctx.scheduler.run_after(0, tell_own_language_async)
    return translation.get_language()


def test_functions_run_in_the_language_in_which_they_were_scheduled(use):
    use(LanguageMiddleware)
    with translation.override("fr"):
        ctx.scheduler.run_after(0, tell_own_language)
    with translation.override(None):
        ctx.scheduler.run_after(0, tell_own_language)
    execute_with_one_worker()

    results = ScheduledFunction.objects.order_by("name", "pk").values_list("name", "result")
    assert list(results) == [
        ("tests:tell_own_language", "fr"),
        ("tests:tell_own_language", None),
        ("tests:tell_own_language_async", "fr"),
        ("tests:tell_own_language_async", None),
    ]


def test_function_without_a_language_on_record_runs_in_that_of_the_site(use):
    function_id = ctx.scheduler.run_after(timedelta(0), tell_own_language)
    use(LanguageMiddleware)
    execute_with_one_worker()

    assert record(function_id).result == "en"
