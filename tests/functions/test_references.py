"""Every way to name a function, and what is said about a name that is none."""

import copy

import pytest

from django_scheduler import api, ctx, internal
from django_scheduler.errors import FunctionNotFound, SchedulerError
from django_scheduler.models import ScheduledFunction
from django_scheduler.suggestions import nearest
from tests.functions import note, write, write_internally

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        (write, "tests:write"),
        (api.tests.write, "tests:write"),
        ("tests:write", "tests:write"),
        (write_internally, "tests:write_internally"),
        (internal.tests.write_internally, "tests:write_internally"),
        ("tests:write_internally", "tests:write_internally"),
        (api.orders.create_order, "orders:create_order"),
    ],
    ids=str,
)
def test_all_of_them_mean_the_function(reference, name):
    arguments = {"email": "a", "items": []} if name.startswith("orders") else {"label": "a"}
    ctx.scheduler.run_after(0, reference, **arguments)
    ctx.scheduler.run_after_many(0, reference, [arguments])
    assert [row.name for row in ScheduledFunction.objects.all()] == [name, name]


def test_a_reference_may_be_made_before_its_function_exists_and_is_a_value():
    assert api.nowhere.nothing == api.nowhere.nothing
    assert hash(api.tests.write) == hash(api.tests.write)
    assert api.tests.write != internal.tests.write
    assert copy.deepcopy(api).tests.write == api.tests.write
    assert str(internal.orders.archive_order) == "internal.orders.archive_order"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (
            api.tests.write_internally,
            "There is no mutation or action api.tests.write_internally. Did you mean internal.",
        ),
        (internal.tests.write, "There is no mutation or action internal.tests.write. Did you mean api.tests.write?"),
        (api.tests.wriet, "Did you mean api.tests.write?"),
        (internal.tests.write_internaly, "Did you mean internal.tests.write_internally?"),
        (api.test.write, "Did you mean api.tests.write?"),
        (
            "tests:wriet",
            "There is no mutation or action 'tests:wriet' in any installed app. Did you mean 'tests:write'?",
        ),
        ("tests.write", "Did you mean 'tests:write'?"),
    ],
    ids=str,
)
def test_a_mistake_is_answered_with_what_was_probably_meant(reference, message):
    for use in [
        lambda: ctx.scheduler.run_after(0, reference, label="a"),
        lambda: ctx.scheduler.run_after_many(0, reference, []),
        lambda: ctx.run_mutation(reference, label="a"),
    ]:
        with pytest.raises(FunctionNotFound) as caught:
            use()
        assert message in str(caught.value)
    assert not ScheduledFunction.objects.exists()


@pytest.mark.parametrize("reference", [api.zzz.qqq, internal.zzz.qqq, "zzz:qqq", ""], ids=repr)
def test_what_resembles_nothing_is_answered_without_a_guess(reference):
    with pytest.raises(FunctionNotFound) as caught:
        ctx.scheduler.run_after(0, reference)
    assert "There is no mutation or action" in str(caught.value)
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize("wrong", [print, lambda ctx: None, note.body, None, 5, b"tests:write", api, api.tests, object])
def test_anything_else_is_refused_with_what_to_do(wrong):
    with pytest.raises(FunctionNotFound, match="is not a mutation or an action: decorate it") as caught:
        ctx.scheduler.run_after(0, wrong)
    assert isinstance(caught.value, LookupError)
    assert isinstance(caught.value, SchedulerError)


@pytest.mark.parametrize(
    ("run", "function", "hint"),
    [
        (ctx.run_mutation, note, "tests:note is not a mutation but an action: call it with run_action"),
        (ctx.run_action, write, "tests:write is not an action but a mutation: call it with run_mutation"),
    ],
)
def test_a_function_of_the_other_kind_is_refused_with_the_right_call(run, function, hint):
    with pytest.raises(FunctionNotFound, match=hint):
        run(function, label="a")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("shop:nope", None),
        ("shop:e007", "shop:e006"),
        ("shp:e006", "shop:e006"),
        ("shop.e006", "shop:e006"),
        ("shop:", None),
        ("api.shop.nope", None),
        ("api.shop.e007", "api.shop.e006"),
    ],
)
def test_names_of_one_app_are_not_alike_because_of_that(name, near):
    assert nearest(name, ["shop:e006", "api.shop.e006"]) == near
