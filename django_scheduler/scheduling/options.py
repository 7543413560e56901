"""Options of a call say how what is scheduled through ``ctx.scheduler.options(...)`` runs, and what follows its end."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, get_origin

from asgiref.sync import iscoroutinefunction

from django_scheduler import values
from django_scheduler.durations import is_positive
from django_scheduler.errors import ArgumentsTooLarge, FunctionNotFound, InvalidArguments, InvalidSchedule
from django_scheduler.functions import (
    NOT_GIVEN,
    AnyFunction,
    AnyReference,
    NotGiven,
    Options,
    Reference,
    TakesOutcome,
    problems_of_lane,
    resolve_to_schedule,
    types_of_parameter,
)
from django_scheduler.models import LONGEST_KEY
from django_scheduler.record import BatchOutcome, Outcome, callbacks
from django_scheduler.scheduling.batches import Membership
from django_scheduler.times import parse_time
from django_scheduler.values import is_plain_text, short_repr

if TYPE_CHECKING:
    from django_scheduler_functions import BatchCallbackName, CallbackName

#: How large the callbacks of a function may be, with their arguments: they are read with each claim of it.
MOST_CALLBACK_BYTES = 64 * 1024

#: Tells the key of a call: the key itself, or what is given the arguments by name and returns it.
CallKey: TypeAlias = "str | Callable[..., str]"

T = TypeVar("T")

#: A function that needs nothing but an outcome of this type.
Told: TypeAlias = TakesOutcome[T] | Reference[TakesOutcome[T]]

#: What a call does with one that waits with its key.
Existing: TypeAlias = Literal["keep", "replace"]

#: A function with the arguments that it is given besides ``outcome``. Where it is named, the stub says which they are.
WithArguments: TypeAlias = "tuple[AnyReference, Mapping[str, Any]]"

#: What runs when a function has ended: a function, or one with arguments. It is given ``outcome`` as well.
Callback: TypeAlias = "Told[Outcome] | CallbackName | WithArguments"

#: What runs when a batch has ended, likewise.
BatchCallback: TypeAlias = "Told[BatchOutcome] | BatchCallbackName | WithArguments"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """Say how one call differs from what its function declares. ``NOT_GIVEN``: it does not."""

    queue: str | NotGiven = NOT_GIVEN
    priority: int | NotGiven = NOT_GIVEN
    expires: timedelta | datetime | NotGiven | None = NOT_GIVEN
    on_complete: Callback | None = None
    on_failure: Callback | None = None
    #: Which batch it is to be a member of.
    batch: Membership | None = None
    key: CallKey | None = None
    existing: Existing | None = None
    max_wait: timedelta | None = None

    def merged(self, **given: Any) -> CallOptions:
        """Return these options with those that are given in place of what they were.

        Raises ``InvalidSchedule`` and ``TypeError`` for what cannot be.
        """
        given = {name: value for name, value in given.items() if value is not NOT_GIVEN}
        if given.get("key", NOT_GIVEN) is None:  # what belongs to the key goes with it
            given = {"existing": None, "max_wait": None, **given}
        merged = replace(self, **given)
        if problems := " ".join(merged._problems()):
            raise InvalidSchedule(f"Nothing can be scheduled with these options: {problems}")
        return merged

    def queue_of(self, function: AnyFunction) -> str:
        return function.queue if self.queue is NOT_GIVEN else self.queue

    def priority_of(self, function: AnyFunction) -> int:
        return function.priority if self.priority is NOT_GIVEN else self.priority

    def expiry_of(self, function: AnyFunction) -> timedelta | datetime | None:
        return function.expires if self.expires is NOT_GIVEN else self.expires

    def stored_callbacks(self, name: str) -> str | None:
        """Return as JSON what is to be scheduled when a function of that name ends, or ``None``.

        Raises ``FunctionNotFound`` and ``InvalidArguments`` for what cannot be scheduled.
        """
        return stored_callbacks(name, self.on_complete, self.on_failure)

    def keys_of(self, name: str, calls: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return the key of each of the calls of a function of that name, which have these arguments; there is a key.

        Raises ``InvalidSchedule`` for what is no key, and for a callable that does not take the arguments; and what the
        callable raises, with a note that names the function.
        """
        key = self.key
        assert key is not None
        if isinstance(key, str):
            return [key] * len(calls)
        keys = []
        for position, arguments in enumerate(calls):
            at = f" (at position {position})" if len(calls) > 1 else ""
            try:
                keys.append(key(**arguments))
            except Exception as error:
                if isinstance(error, TypeError) and (problem := _why_not_called(key, arguments)):
                    raise InvalidSchedule(
                        f"{name} was not scheduled: its key= is given the arguments of the call by name, and cannot be"
                        f" called with ({', '.join(arguments)}): {problem}{at}. Give it these parameters, or **others."
                    ) from None
                error.add_note(f"{name} was not scheduled, because its key= has raised this{at}.")
                raise
            if not _is_key(keys[-1]):
                raise InvalidSchedule(
                    f"{name} was not scheduled: its key= has returned {_shown(keys[-1])}{at}. {A_KEY}"
                )
        return keys

    def _problems(self) -> Iterator[str]:
        yield from problems_of_lane(
            "default" if self.queue is NOT_GIVEN else self.queue,
            0 if self.priority is NOT_GIVEN else self.priority,
        )
        if isinstance(self.expires, datetime):
            try:
                parse_time(self.expires)
            except InvalidSchedule as error:
                yield f"expires=: {error}"
        elif not (self.expires is None or self.expires is NOT_GIVEN or is_positive(self.expires)):
            yield (
                "expires= must be a positive timedelta of at most five years from the requested time, an aware"
                f" datetime, or None, not {self.expires!r}."
            )
        yield from self._problems_of_key()

    def _problems_of_key(self) -> Iterator[str]:
        if self.key is not None and self.batch is not None:
            yield (
                "key= and a batch exclude each other: a call that is taken in by one that waits already would be no"
                " member. Schedule it outside of the batch, or without key=."
            )
        if self.key is not None and not callable(self.key) and not _is_key(self.key):
            yield f"key= is {_shown(self.key)}. {A_KEY} Or it is a callable that returns one for the arguments."
        if iscoroutinefunction(self.key):
            yield "key= is async, and nobody would await it: use a plain function."
        if self.existing not in (None, "keep", "replace"):
            yield f'existing= must be "keep" or "replace", not {self.existing!r}.'
        elif self.existing is not None and self.key is None:
            yield f"existing={self.existing!r} says what becomes of the call that waits with the same key: add key=."
        if self.max_wait is not None:
            if not is_positive(self.max_wait):
                yield f"max_wait= must be a positive timedelta of at most five years, not {self.max_wait!r}."
            if self.existing != "replace":
                yield 'max_wait= limits for how long calls with existing="replace" put off the first one: add that.'


#: What a key has to be.
A_KEY = f"A key is a text of 1 to {LONGEST_KEY} characters, without NUL."


def _is_key(key: object) -> bool:
    return isinstance(key, str) and 0 < len(key) <= LONGEST_KEY and is_plain_text(key)


def _shown(key: object) -> str:
    """Return how a message shows what is no key: a text that is too long by its length."""
    if isinstance(key, str) and len(key) > LONGEST_KEY:
        return f"a text of {len(key):,} characters, which begins with {key[:40]!a}"
    return ascii(key)


def _why_not_called(key: Callable[..., str], arguments: Mapping[str, object]) -> str:
    """Return why a callable cannot be given arguments of these names; an empty text if it can, or nobody knows."""
    try:
        signature = inspect.signature(key)
    except (TypeError, ValueError):
        return ""
    try:
        signature.bind(**arguments)
    except TypeError as error:
        return str(error)
    return ""


def where_option_belongs(name: str) -> str | None:
    """Say where an option belongs that a call cannot have, if it is one of the decorators'."""
    if name in (option.name for option in fields(Options)):
        return f"The function declares it, for all of its calls: @mutation({name}=...) or @action({name}=...)."
    return None


def stored_callbacks(
    name: str,
    on_complete: Callback | BatchCallback | None,
    on_failure: Callback | None = None,
    *,
    outcome: type[Outcome | BatchOutcome] = Outcome,
) -> str | None:
    """Return as JSON what is to be scheduled when ``name`` has ended, or ``None`` if that is nothing.

    ``outcome``: of which type the outcome is that they are told.

    Raises ``FunctionNotFound``, ``InvalidArguments`` and ``ArgumentsTooLarge`` for what cannot be scheduled.
    """
    given = {callbacks.COMPLETE: on_complete, callbacks.FAILURE: on_failure}
    stored = [_stored(callback, on, name, outcome) for on, callback in given.items() if callback is not None]
    if not stored:
        return None
    text = json.dumps(stored)
    if len(text) > MOST_CALLBACK_BYTES:
        raise ArgumentsTooLarge(
            f"{name} was not scheduled: its callbacks are {len(text):,} bytes of JSON with their arguments, and"
            f" {MOST_CALLBACK_BYTES:,} are allowed. Store the data, and pass what it can be found by."
        )
    return text


def _stored(
    callback: Callback | BatchCallback, on: str, name: str, outcome: type[Outcome | BatchOutcome]
) -> dict[str, Any]:
    """Return a callback as it is stored with what it follows, which has that name."""
    option = f"{name} was not scheduled: its on_{on}="
    reference: Any
    reference, given = callback if isinstance(callback, tuple) and len(callback) == 2 else (callback, {})
    if isinstance(reference, tuple | list | Mapping) or not isinstance(given, Mapping):
        hint = ""
        match callback:
            case [list() | tuple(), *_]:
                hint = " There is only one: have that schedule the others."
            case [_, Mapping()] if isinstance(callback, list):
                hint = f" Write a tuple: ({', '.join(map(short_repr, callback))})."
        raise InvalidArguments(
            f"{option} is a function, or (function, {{...}}) with its arguments, not {short_repr(callback)}.{hint}"
        )
    try:
        function = resolve_to_schedule(reference)
        if "outcome" in given:
            raise InvalidArguments("outcome is what it is given when the function has ended. Leave it out.")
        if not all(isinstance(parameter, str) for parameter in given):
            raise InvalidArguments(f"The arguments are given by their names, as in {{'order_id': 7}}, not {given!r}.")
        _refuse_wrong_outcome(function, outcome)
        bound = function.bind((), {**given, "outcome": None})
        del bound["outcome"]
        args = values.dump_arguments(function.name, bound)
    except (FunctionNotFound, InvalidArguments) as error:
        raise type(error)(f"{option}{short_repr(reference)} cannot be scheduled. {error}") from error
    return {
        "on": on,
        "name": function.name,
        "kind": function.kind.value,
        "queue": function.queue,
        "priority": function.priority,
        "expires": None if function.expires is None else function.expires.total_seconds(),
        "args": json.loads(args),
    }


def _refuse_wrong_outcome(function: AnyFunction, told: type[Outcome | BatchOutcome]) -> None:
    """Raise ``InvalidArguments`` if a callback is declared with the outcome of the other kind."""
    other, of_what = (BatchOutcome, "a function") if told is Outcome else (Outcome, "a batch")
    types = types_of_parameter(function, "outcome", {each.__name__: each for each in (Outcome, BatchOutcome)})
    if types and all(map(_is_of_python_itself, types)):
        raise InvalidArguments(
            f"Its outcome cannot be {' | '.join(each.__name__ for each in types)}: declare outcome: {told.__name__}."
        )
    if other in types and not {told, object, Any} & {*types}:
        raise InvalidArguments(
            f"Its outcome is declared as {other.__name__}, and what follows {of_what} is told {told.__name__}: declare"
            f" outcome: {told.__name__}, or outcome: Outcome | BatchOutcome if it follows both."
        )


def _is_of_python_itself(annotation: Any) -> bool:
    """Return whether it is a type such as ``str``, ``dict[str, Any]`` or that of ``None``, which no outcome is."""
    kind = get_origin(annotation) or annotation
    return isinstance(kind, type) and kind.__module__ == "builtins" and kind is not object


#: Of a call that says nothing.
NO_OPTIONS = CallOptions()
