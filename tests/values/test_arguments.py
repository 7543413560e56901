"""Arguments are bound to the signature when scheduling, and again when running."""

from typing import Any

import pytest

from django_scheduler import Context, ctx, mutation
from django_scheduler.errors import InvalidArguments, SchedulerError
from django_scheduler.models import ScheduledFunction, State
from tests.models import Entry

pytestmark = pytest.mark.django_db

#: Wrong calls are what is tested here, so no type checker is told of the signatures.
decorate: Any = mutation


def painter() -> Any:
    def paint(ctx: Context, label: str, color: str = "red", *, size: int = 1, **more: object) -> None:
        Entry.objects.create(label=f"{label} {color} {size} {sorted(more.items())}", function_id=ctx.function_id)

    # Type checkers cannot tell that nobody gives `ctx` among the other keywords; at run time it is refused.
    return decorate(paint)


@pytest.mark.parametrize(
    ("args", "kwargs", "stored"),
    [
        (("a",), {}, {"label": "a"}),
        (("a", "blue"), {"size": 2}, {"label": "a", "color": "blue", "size": 2}),
        ((), {"size": 2, "label": "a"}, {"label": "a", "size": 2}),
        (("a",), {"shape": "round", "more": 1, "args": 2}, {"label": "a", "shape": "round", "more": 1, "args": 2}),
    ],
)
def test_what_is_given_is_stored_by_name_and_defaults_are_not(args, kwargs, stored):
    ctx.scheduler.run_after(0, painter(), *args, **kwargs)
    assert ScheduledFunction.objects.get().args == stored


@pytest.mark.parametrize(
    ("args", "kwargs", "problem"),
    [
        ((), {}, "missing a required argument: 'label'"),
        (("a", "b", "c"), {}, "too many positional arguments"),
        (("a",), {"label": "b"}, "multiple values for argument 'label'"),
        (("a",), {"ctx": "mine"}, "multiple values for argument 'ctx'"),
    ],
)
def test_what_does_not_fit_the_signature_is_refused_with_the_signature(args, kwargs, problem):
    paint = painter()
    for use in [
        lambda: ctx.scheduler.run_after(0, paint, *args, **kwargs),
        lambda: ctx.run_mutation(paint, *args, **kwargs),
    ]:
        with pytest.raises(InvalidArguments) as caught:
            use()
        assert str(caught.value).startswith("tests:paint(label: str, color: str = 'red', *, size: int = 1")
        assert problem in str(caught.value)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, SchedulerError)
    assert not ScheduledFunction.objects.exists()
    assert not Entry.objects.exists()


def test_a_function_without_parameters_takes_no_arguments():
    @decorate
    def nothing(ctx: Context) -> None: ...

    with pytest.raises(
        InvalidArguments, match=r"tests:nothing\(\) -> None cannot be called like this: got an unexpected"
    ):
        ctx.scheduler.run_after(0, nothing, label="a")


def test_positional_only_ctx_leaves_its_name_to_the_arguments():
    @mutation(name="free")
    def with_free_names(context: Context, /, **fields: object) -> None: ...

    ctx.scheduler.run_after(0, with_free_names, context=1, ctx=2)
    assert ScheduledFunction.objects.get().args == {"context": 1, "ctx": 2}


@pytest.mark.django_db(transaction=True)
def test_a_signature_that_has_changed_since_fails_when_it_runs(execute_due):
    @mutation(name="changing")
    def before(ctx: Context, *, label: str) -> None: ...

    function_id = ctx.scheduler.run_after(0, before, label="a")
    before.body = lambda ctx, *, title: None  # type: ignore[assignment]
    execute_due()
    row = ScheduledFunction.objects.get(pk=function_id)
    assert (row.state, row.failure) == (State.FAILED, "error")
    assert "label" in row.error
