"""What the methods that take a function look like in a stub: an overload for each way in which it may be named.

For each decorator of ``functions/typed_methods.py`` there is a protocol here.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence

from django_scheduler.models import Kind
from django_scheduler.record import BatchOutcome, Outcome
from django_scheduler.scheduling import Scheduler
from django_scheduler.stubs.shapes import Shape

#: What comes after a function whose parameters are known.
ITS_ARGUMENTS = "/, *args: P.args, **kwargs: P.kwargs"
FUNCTION = "function: Function[P, Any] | Reference[FunctionOf[P, Any]]"
MUTATION = "function: Mutation[P, R] | Reference[MutationOf[P, R]]"
ACTION = "function: Action[P, R] | Reference[ActionOf[P, R]]"
ASYNC_ACTION = "function: Action[P, Coroutine[Any, Any, R]] | Reference[ActionOf[P, Coroutine[Any, Any, R]]]"

#: A function with any arguments.
WITH_ARGUMENTS = "tuple[AnyReference, Mapping[str, Any]]"
#: The options that are functions.
CALLBACKS = ("on_complete", "on_failure")
#: The parameters of ``cancel_all`` that belong to each other.
FUNCTION_AND_ARGS = ("function", "args")


def methods(shapes: Sequence[Shape]) -> Iterator[str]:
    """Yield the protocols for these functions; for any functions, if there are none."""
    run_mutation, run_action = [*_run_mutation(shapes)], [*_run_action(shapes)]
    yield _protocol("Schedules[When, Result]", _schedule(shapes, "when: When"))
    yield _protocol("SchedulesMany[When, Result]", _schedule_many(shapes))
    yield _protocol("RegistersCron[Result]", _schedule(shapes, "name: str", "schedule: Schedule"))
    yield _protocol("RunsMutation", run_mutation)
    yield _protocol("RunsMutationAsync", map(_awaited, run_mutation))
    yield _protocol("RunsAction", run_action)
    yield _protocol("RunsActionAsync", map(_awaited, run_action))
    yield _protocol("TakesOptions[Result]", _options(shapes))
    yield _protocol("OpensBatch[Result]", _batch(shapes))
    yield _protocol("CancelsAll[Result]", _cancel_all(shapes))


def _protocol(name: str, signatures: Iterable[str]) -> str:
    """Return the text of a protocol that is called like this, in the form ``(parameters) -> result``."""
    base, bracket, variables = name.partition("[")
    calls = [f"    def __call__{each}: ..." for each in signatures]
    overload = "    @overload\n" if len(calls) > 1 else ""
    return "\n".join([f"\nclass {base}(Protocol{bracket}{variables}):", *(overload + each for each in calls)])


def _schedule(shapes: Sequence[Shape], *first: str) -> Iterator[str]:
    yield f"(self, {', '.join(first)}, {FUNCTION}, {ITS_ARGUMENTS}) -> Result"
    if not shapes:
        yield f"(self, {', '.join(first)}, function: str, /, *args: Any, **kwargs: Any) -> Result"
    for each in shapes:
        yield f"({each.signature.after('self', *first, f'function: {each.literal_names}')}) -> Result"


def _schedule_many(shapes: Sequence[Shape]) -> Iterator[str]:
    known = [(each.alternatives, each.arguments) for each in shapes] or [("AnyReference", "Mapping[str, Any]")]
    for function, arguments in known:
        yield f"(self, when: When, function: {function}, arguments: Iterable[{arguments}], /) -> Result"


def _run_mutation(shapes: Sequence[Shape]) -> Iterator[str]:
    yield f"(self, {MUTATION}, {ITS_ARGUMENTS}) -> R"
    yield from _run_by_name(shapes, Kind.MUTATION)


def _run_action(shapes: Sequence[Shape]) -> Iterator[str]:
    yield f"(self, {ASYNC_ACTION}, {ITS_ARGUMENTS}) -> R"
    yield f"(self, {ACTION}, {ITS_ARGUMENTS}) -> R"
    yield from _run_by_name(shapes, Kind.ACTION)


def _run_by_name(shapes: Sequence[Shape], kind: Kind) -> Iterator[str]:
    if not shapes:
        yield "(self, function: str, /, *args: Any, **kwargs: Any) -> Any"
    for each in shapes:
        if each.function.kind is kind:
            yield f"({each.signature.after('self', f'function: {each.literal_names}')}) -> {each.signature.result}"


def _awaited(signature: str) -> str:
    """Return the signature of the async twin."""
    parameters, arrow, result = signature.rpartition(") -> ")
    return f"{parameters}{arrow}Coroutine[Any, Any, {result}]"


def _options(shapes: Sequence[Shape]) -> Iterator[str]:
    """Yield what ``options`` takes: without callbacks that have arguments, and for each that may have some.

    If both callbacks have arguments, those of ``on_failure`` are not looked at: that takes an overload for each pair.
    """
    _, *parameters = inspect.signature(Scheduler.options).parameters.values()
    others = "".join(f"{each.name}: {each.annotation} = ..., " for each in parameters if each.name not in CALLBACKS)

    def takes(on_complete: str, on_failure: str) -> str:
        return f"(self, *, {others}on_complete: {on_complete}, on_failure: {on_failure}) -> Result"

    optional = "Told[Outcome] | CallbackName | NotGiven | None = ..."
    any_optional = f"{WITH_ARGUMENTS} | {optional}"
    yield takes(optional, optional) if shapes else takes(any_optional, any_optional)
    for each in shapes:
        if each.is_told(Outcome):
            yield takes(each.with_arguments, any_optional)
            yield takes(optional, each.with_arguments)


def _batch(shapes: Sequence[Shape]) -> Iterator[str]:
    """Yield what ``batch`` takes: without a callback that has arguments, and for each that may have some."""
    optional = "Told[BatchOutcome] | BatchCallbackName | None = ..."
    yield f"(self, *, on_complete: {optional if shapes else f'{WITH_ARGUMENTS} | {optional}'}) -> Result"
    for each in shapes:
        if each.is_told(BatchOutcome):
            yield f"(self, *, on_complete: {each.with_arguments}) -> Result"


def _cancel_all(shapes: Sequence[Shape]) -> Iterator[str]:
    """Yield what ``cancel_all`` takes: any function without arguments, any arguments, each function with its own."""
    _, *parameters = inspect.signature(Scheduler.cancel_all).parameters.values()
    others = [f"{each.name}: {each.annotation} = ..." for each in parameters if each.name not in FUNCTION_AND_ARGS]

    def takes(function: str, args: str) -> str:
        return f"(self, function: {function}, *, {', '.join(others)}, args: {args}) -> Result"

    if not shapes:
        yield takes("AnyReference | None = ...", "Mapping[str, Any] | None = ...")
        return
    yield takes("AnyReference | None = ...", "None = ...")
    yield takes("None = ...", "Mapping[str, Any]")
    for each in shapes:
        yield takes(each.alternatives, each.some_arguments)
