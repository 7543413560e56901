"""A function that was renamed is found by the names that it had."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_scheduler import Context, ctx, internal, mutation
from django_scheduler.functions import registry
from django_scheduler.models import ScheduledFunction, State
from tests.support.records import record


@mutation(aliases=("greet_by_its_first_name", "shop:greet"))
def greet_by_its_last_name(ctx: Context, *, name: str) -> str:
    return f"Hello {name}"


@pytest.mark.parametrize("old_name", ["tests:greet_by_its_first_name", "shop:greet"])
def test_what_is_on_record_with_an_old_name_is_executed(execute_due, old_name):
    function_id = ctx.scheduler.run_after(0, greet_by_its_last_name, name="Ada")
    ScheduledFunction.objects.update(name=old_name)

    execute_due()

    assert (record(function_id).state, record(function_id).result) == (State.SUCCESS, "Hello Ada")


@pytest.mark.django_db
def test_what_is_scheduled_by_an_old_name_has_the_new_one_on_record():
    function_id = ctx.scheduler.run_after(0, "shop:greet", name="Ada")
    assert record(function_id).name == "tests:greet_by_its_last_name"


@pytest.mark.django_db
@pytest.mark.parametrize("function", [greet_by_its_last_name, "tests:greet_by_its_last_name", "shop:greet"])
def test_cancel_all_cancels_it_under_all_of_its_names(function):
    ids = [ctx.scheduler.run_after(0, greet_by_its_last_name, name="Ada") for _ in range(3)]
    ScheduledFunction.objects.filter(pk=ids[0]).update(name="shop:greet")
    ScheduledFunction.objects.filter(pk=ids[1]).update(name="tests:greet_by_its_first_name")
    assert ctx.scheduler.cancel_all(function) == 3


def test_each_function_is_listed_once():
    assert [each for each in registry if each is greet_by_its_last_name] == [greet_by_its_last_name]


def test_an_alias_is_refused_that_another_function_has_as_its_name_or_alias():
    @mutation
    def first(ctx: Context) -> None: ...

    for taken in ["first", "shop:greet"]:
        with pytest.raises(ImproperlyConfigured, match="Two functions are named"):
            mutation(name=f"not_{taken[:4]}", aliases=(taken,))(lambda ctx: None)
    with pytest.raises(ImproperlyConfigured, match="Two functions are named 'tests:greet_by_its_first_name'"):
        mutation(name="greet_by_its_first_name")(lambda ctx: None)


@pytest.mark.parametrize("aliases", ["old", ("not an identifier",), ("a:b:c",), ("",), (7,), (":old",)])
def test_an_alias_that_is_no_name_is_refused(aliases):
    with pytest.raises(ImproperlyConfigured, match="aliases= must be a tuple of the names that it had"):
        mutation(name="renamed", aliases=aliases)(lambda ctx: None)


def test_a_reference_may_have_an_old_name():
    assert str(internal.shop.greet) == "internal.shop.greet"
    assert registry.get("shop:greet") is greet_by_its_last_name
