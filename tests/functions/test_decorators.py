"""What can be made a mutation or an action, and why the rest cannot."""

import asyncio
import functools
import inspect

import pytest
from asgiref.sync import markcoroutinefunction
from django.core.exceptions import ImproperlyConfigured

import django_scheduler
from django_scheduler import Context, action, ctx, internal_action, internal_mutation, mutation
from django_scheduler.errors import InvalidArguments
from django_scheduler.functions import registry
from django_scheduler.models import Kind

every_decorator = pytest.mark.parametrize("decorator", [mutation, internal_mutation, action, internal_action])


@pytest.mark.parametrize(
    ("decorator", "kind", "public"),
    [
        (mutation, Kind.MUTATION, True),
        (internal_mutation, Kind.MUTATION, False),
        (action, Kind.ACTION, True),
        (internal_action, Kind.ACTION, False),
    ],
)
def test_each_decorator_makes_its_kind(decorator, kind, public):
    @decorator
    def plain(ctx: Context) -> None: ...

    @decorator(name="another", queue="email", priority=-5, admin=False)
    def with_options(ctx: Context) -> None: ...

    @decorator()
    def with_no_options(ctx: Context) -> None: ...

    assert (plain.kind, plain.public, plain.queue, plain.priority) == (kind, public, "default", 0)
    assert (with_options.kind, with_options.public) == (kind, public)
    assert (with_options.name, with_options.queue, with_options.priority) == (
        "tests:another",
        "email",
        -5,
    )
    assert with_no_options.name == "tests:with_no_options"
    assert (plain.admin, with_options.admin) == (True, False)
    assert [registry.find(f"tests:{name}") for name in ["plain", "another", "with_options"]] == [
        plain,
        with_options,
        None,
    ]


@every_decorator
def test_called_it_is_the_plain_function(decorator):
    @decorator
    def add(ctx: Context, first: int, *, second: int = 5) -> int:
        """Adds."""
        assert ctx is given
        return first + second

    given = Context()
    assert add(given, 1) == 6
    assert add(given, 1, second=2) == add(given, first=1, second=2) == 3
    with pytest.raises(TypeError):
        add(given, 1, third=3)
    with pytest.raises(TypeError):
        add()
    assert (add.__name__, add.__doc__, add.__module__) == ("add", "Adds.", __name__)
    assert inspect.signature(add) == inspect.signature(add.body)


def test_called_an_async_action_is_the_coroutine_function():
    @action
    async def add(ctx: Context, first: int) -> int:
        return first + 1

    assert asyncio.run(add(ctx, 1)) == 2


def refused(decorator, body, message):
    before = len(list(registry))
    with pytest.raises(ImproperlyConfigured, match=message):
        decorator(body)
    assert len(list(registry)) == before


def with_any_number(ctx, *labels): ...


def with_positional_only(ctx, label, /): ...


def with_positional_only_context_and_more(ctx, label, /, *, color): ...


def without_anything(): ...


def with_keywords_only(*, ctx): ...


def with_starred_context(*ctx): ...


def generator(ctx):
    yield 1


async def async_generator(ctx):
    yield 1


async def coroutine(ctx): ...


def with_no_coroutine(ctx):
    """Returns an awaitable, and is marked as one that does."""


@every_decorator
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (with_any_number, r"with_any_number .*: \*labels has no names"),
        (with_positional_only, "'label' is positional-only"),
        (with_positional_only_context_and_more, "'label' is positional-only"),
        (without_anything, "its first parameter must be ctx"),
        (with_keywords_only, "its first parameter must be ctx"),
        (with_starred_context, "its first parameter must be ctx"),
        (generator, "it is a generator"),
        (async_generator, "it is a generator"),
        (lambda ctx: None, "'<lambda>' is not an identifier; pass name="),
        (5, "Only a function can be .* not 5"),
        ("email", r"options of the decorator are given by name, as in @(mutation|action)\(name="),
        (Context, "Only a function"),
        (functools.partial(print), "Only a function"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_cannot_be_executed_is_refused_with_the_reason(decorator, body, message):
    refused(decorator, body, message)


@pytest.mark.parametrize("decorator", [mutation, internal_mutation])
def test_a_mutation_cannot_be_async(decorator):
    refused(decorator, coroutine, "coroutine cannot be a mutation: Django's transactions are synchronous")
    refused(decorator, markcoroutinefunction(with_no_coroutine), "transactions are synchronous")


@every_decorator
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "with space"}, "not an identifier"),
        ({"name": ""}, "not an identifier"),
        ({"name": 5}, "not an identifier"),
        ({"name": "orders:create"}, "not an identifier"),
        ({"name": "x" * 151}, "longer than 150"),
        ({"queue": ""}, "queue="),
        ({"queue": "x" * 101}, "queue="),
        ({"queue": None}, "queue="),
        ({"admin": 0}, "admin="),
        ({"admin": None}, "admin="),
        ({"queue": "a\0b"}, "queue="),
        ({"queue": "\ud800"}, "queue="),
        ({"priority": True}, "priority="),
        ({"priority": 1.0}, "priority="),
        ({"priority": 32_768}, "priority="),
        ({"priority": -32_769}, "priority="),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(decorator, options, message):
    def plain(ctx): ...

    refused(decorator(**options), plain, message)


@pytest.mark.parametrize("name", ["mutation", "internal_mutation", "action", "internal_action"])
def test_an_unknown_option_is_a_type_error(name):
    decorator = getattr(django_scheduler, name)
    with pytest.raises(TypeError, match=rf"^@{name} has no option 'retries'\. Did you mean 'retry'\?"):
        decorator(retries=3)


def test_a_function_cannot_be_two_things():
    @mutation
    def once(ctx: Context) -> None: ...

    refused(internal_action, once, "tests:once is a mutation already")
    assert once.kind is Kind.MUTATION


def test_attributes_that_the_function_has_change_nothing():
    def tagged(ctx): ...

    for attribute in ["kind", "options", "body", "name", "signature"]:
        setattr(tagged, attribute, "mine")
    function = mutation(tagged)
    assert (function.kind, function.queue, function.name) == (Kind.MUTATION, "default", "tests:tagged")
    assert function.body is tagged


def test_a_function_that_another_decorator_has_wrapped_keeps_its_signature():
    def noisy(function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            return function(*args, **kwargs)

        return wrapped

    @mutation
    @noisy
    def add(ctx: Context, first: int) -> int:
        return first + 1

    assert add.bind((1,), {}) == {"first": 1}
    with pytest.raises(InvalidArguments):
        add.bind((), {"second": 1})


def test_the_first_parameter_may_have_any_name():
    def other_name(call, order_id): ...

    assert list(mutation(other_name).signature.parameters) == ["order_id"]


def test_a_call_of_a_function_without_ctx_says_what_is_missing():
    def take_an_order(order_id: int, ctx: Context) -> None: ...

    with pytest.raises(InvalidArguments, match="Its first parameter, order_id, is given ctx: if that is missing, add"):
        mutation(take_an_order).bind((), {"order_id": 7})  # type: ignore[arg-type]


def test_aliases_that_are_no_names_are_refused():
    refused(mutation(aliases=5), take_nothing, "aliases= must be a tuple of the names")  # type: ignore[call-overload]


def take_nothing(ctx: Context) -> None: ...


@every_decorator
def test_a_fair_key_is_one_of_the_parameters(decorator):
    @decorator(fair_key="tenant_id")
    def in_turn(ctx: Context, tenant_id: int, *, order_id: int, **others: int) -> None: ...

    assert in_turn.fair_key == "tenant_id"
    problem = r"fair_key= must be one of its parameters \(order_id, tenant_id\)"
    for fair_key in ("tenant", "ctx", "others", "", 7, ["tenant_id"]):
        with pytest.raises(ImproperlyConfigured, match=problem):
            decorator(fair_key=fair_key)(in_turn.body)
