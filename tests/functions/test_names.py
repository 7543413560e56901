"""A function has one name in its app, and a name has one function."""

import contextlib

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.functions import registry


def test_two_functions_of_one_name_are_an_error_that_names_both_places():
    @mutation(name="twice")
    def one(ctx: Context) -> None: ...

    def two(ctx: Context) -> None: ...

    with pytest.raises(ImproperlyConfigured) as caught:
        action(name="twice")(two)
    assert "Two functions are named 'tests:twice'" in str(caught.value)
    for body in [one.body, two]:
        assert f"{__file__}:{body.__code__.co_firstlineno}" in str(caught.value)
    assert registry.get("tests:twice") is one


def test_functions_that_one_function_makes_need_names_of_their_own():
    def make(color, **options):
        @mutation(**options)
        def made(ctx: Context) -> object:
            return color

        return made

    make("red")
    with pytest.raises(ImproperlyConfigured, match="Two functions are named 'tests:made'"):
        make("green")
    assert registry.get("tests:made")(ctx) == "red"
    assert make("green", name="make_green")(ctx) == "green"


def test_a_function_outside_of_any_installed_app_is_refused_where_it_is_defined():
    source = "from django_scheduler import mutation\n@mutation\ndef lost(ctx): ..."
    with pytest.raises(ImproperlyConfigured, match=r"elsewhere\.lost is a mutation outside of any installed app"):
        exec(source, {"__name__": "elsewhere"})
    with contextlib.suppress(ImproperlyConfigured):
        list(registry)
    assert registry.find("elsewhere:lost") is None
