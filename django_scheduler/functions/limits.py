"""``Concurrency`` and ``RateLimit`` declare how many bodies of a function run at once, or begin within a period.

The limit of a call is known on record by a text: the name of the limit, and if there is a limit for each value of the
parameters that its ``key`` names, these values as they are stored::

    orders:send          the default name, of a function that declares no key
    bank [7]             the limit "bank" of the account 7
    bank [7,"EUR"]       the same, for two parameters
    bank #5feceb66...    the hash of values that are long
    bank rate [7]        the rate limit "bank" of the account 7
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from typing import TypeAlias

from django_scheduler.models import LONGEST_LIMIT_NAME, RATE
from django_scheduler.suggestions import did_you_mean
from django_scheduler.values import JSONValue, encode, in_one_order, is_plain_text, parse_json

#: The most bodies of one limit that may run at once: each has a row of its own.
MOST_SLOTS = 1_000

#: The most bodies that may begin within the period of one rate limit, for the same reason.
MOST_STARTS = 10_000

#: How long the period of a rate limit may be.
SHORTEST_PERIOD, LONGEST_PERIOD = timedelta(milliseconds=100), timedelta(days=366)

#: How long after it has taken its slot a body begins at most: as a share of the period, and what that is at least and
#: at most.
SHARE_OF_PERIOD, LEAST_DELAY, MOST_DELAY = 20, timedelta(seconds=0.02), timedelta(seconds=0.1)

#: For how long a start has its slot at most.
LONGEST_WINDOW = LONGEST_PERIOD + MOST_DELAY

#: Values of the parameters that are longer, in characters, are on record by their hash.
LONGEST_VALUES = 100

JSONObject: TypeAlias = dict[str, JSONValue]

_to_json = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"), sort_keys=True).encode


class DeclaredLimit:
    """Is what ``Concurrency`` and ``RateLimit`` have in common: a number, and for which calls it is."""

    limit: int
    key: str | tuple[str, ...]
    name: str | None

    @property
    def parameters(self) -> tuple[str, ...]:
        """Return the names of the parameters whose values have a limit each."""
        return (self.key,) if isinstance(self.key, str) else self.key

    def _refuse_what_can_be_no_limit(self, meaning: str, most: int) -> None:
        if type(self.limit) is not int:
            raise TypeError(f"{type(self).__name__}() takes the number of {meaning}, not {self.limit!r}.")
        if not 1 <= self.limit <= most:
            raise ValueError(f"{type(self).__name__}() takes a number from 1 to {most:,}, not {self.limit}.")
        _refuse_wrong_key(self.key)
        _refuse_wrong_name(self.name)


@dataclass(frozen=True)
class Concurrency(DeclaredLimit):
    """Say how many bodies of a function run at once, across all executors.

    ``limit``: how many. ``key``: the name of a parameter, or a tuple of names: so many for each of their values;
    default: for all calls together. ``name``: functions that give the same name share the limit; default: the
    function's own.

    Further calls wait, without a thread, an attempt or a place in the queue. ``Concurrency(1, key=...)`` also keeps the
    order of due times.

    Example::

        @internal_action(concurrency=Concurrency(2, key="account_id", name="bank"))
        def fetch_statements(ctx, *, account_id: int) -> None: ...

    Raises ``TypeError`` and ``ValueError`` for what can be no limit.
    """

    limit: int
    _: KW_ONLY
    key: str | tuple[str, ...] = ()
    name: str | None = None

    def __post_init__(self) -> None:
        self._refuse_what_can_be_no_limit("bodies that run at once", MOST_SLOTS)


@dataclass(frozen=True)
class RateLimit(DeclaredLimit):
    """Say how many bodies of a function begin within a period, wherever that begins, across all executors.

    ``limit``: how many. ``per``: how long the period is, as a ``timedelta``. ``key``: the name of a parameter, or a
    tuple of names: so many for each of their values; default: for all calls together. ``name``: functions that give the
    same name share the limit; default: the function's own.

    Further calls wait, without a thread, an attempt or a place in the queue.

    Example::

        @internal_action(rate_limit=RateLimit(10, per=timedelta(seconds=1), name="bank"))
        def fetch_statements(ctx, *, account_id: int) -> None: ...

    Raises ``TypeError`` and ``ValueError`` for what can be no limit.
    """

    limit: int
    _: KW_ONLY
    per: timedelta
    key: str | tuple[str, ...] = ()
    name: str | None = None

    def __post_init__(self) -> None:
        self._refuse_what_can_be_no_limit("bodies that begin within a period", MOST_STARTS)
        if not isinstance(self.per, timedelta):
            raise TypeError(f"per= must be a timedelta, as in per=timedelta(seconds=1), not {self.per!r}.")
        if not SHORTEST_PERIOD <= self.per <= LONGEST_PERIOD:
            raise ValueError(
                f"per= must be a period from {SHORTEST_PERIOD.total_seconds()} s to {LONGEST_PERIOD.days} days, not"
                f" {self.per}."
            )

    @property
    def longest_delay(self) -> timedelta:
        """Return how long after it has taken its slot a body begins at most."""
        return min(max(self.per / SHARE_OF_PERIOD, LEAST_DELAY), MOST_DELAY)

    @property
    def window(self) -> timedelta:
        """Return for how long a start has its slot: so that the next body begins a period after this one, or later."""
        return self.per + self.longest_delay


#: The options by which functions declare limits: what each must be, and an example.
LIMIT_OPTIONS: dict[str, tuple[type[DeclaredLimit], str]] = {
    "concurrency": (Concurrency, "Concurrency(2)"),
    "rate_limit": (RateLimit, "RateLimit(10, per=timedelta(seconds=1))"),
}


def problem_of_limit(option: str, value: object) -> str | None:
    """Say that the value of an option declares no limit, and what it has to be; ``None``: it does, or is ``None``."""
    kind, example = LIMIT_OPTIONS[option]
    if value is None or isinstance(value, kind):
        return None
    return f"{option}= must be a {kind.__name__}, as in {option}={example}, or None, not {value!r}."


def _refuse_wrong_key(key: object) -> None:
    names = (key,) if isinstance(key, str) else key
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        raise TypeError(f'key= must be the name of a parameter, or a tuple of names: ("account_id",), not {key!r}.')
    for name in names:
        if not name.isidentifier():
            raise ValueError(f"key= names parameters, and {name!r} cannot be the name of one.")
    if len({*names}) < len(names):
        raise ValueError(f"key= names a parameter twice: {key!r}.")


def _refuse_wrong_name(name: object) -> None:
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name= must be the name of a limit, as text, not {name!r}.")
    # The name ends at the first blank of a limit on record.
    if name is not None and not (0 < len(name) <= LONGEST_LIMIT_NAME and name.isprintable() and " " not in name):
        raise ValueError(
            f"name= must have 1 to {LONGEST_LIMIT_NAME} characters that can be printed, and no blanks, not {name!a}."
        )


def problem_of_key(key: Iterable[str], parameters: Mapping[str, inspect.Parameter]) -> str | None:
    """Say which name of a key is none of the parameters that a function has besides ``ctx``; ``None``: they all are."""
    of_any_number = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    named = [name for name, each in parameters.items() if each.kind not in of_any_number]
    for name in key:
        if name in named:
            continue
        if name in parameters:
            return f"the key {name!r} is {parameters[name]}, which may be any arguments: name a single one."
        hint = did_you_mean(name, named) or f" It has: {', '.join(named) or 'none'}."
        return f"the key {name!r} is none of its arguments.{hint}"
    return None


class LimitTexts:
    """Returns the text by which the limit of each call is known on record, from its arguments as they are stored."""

    def __init__(self, name: str, key: Iterable[str], parameters: Mapping[str, inspect.Parameter]) -> None:
        """Take the name of the limit, the names that its ``key`` declares, and all parameters of the function."""
        self._name = name
        self._defaults = {each: _stored(parameters[each].default) for each in key}

    def of(self, stored_args: str, by_name: Callable[[JSONObject], JSONObject]) -> str:
        """Return the text of the limit of a call; ``by_name`` gives its arguments the names of the parameters.

        Where arguments were changed by hand and are no JSON object, it is the name alone: their function will fail, and
        waits for no other one.
        """
        if not self._defaults:
            return self._name
        try:
            args = parse_json(stored_args)
            if not isinstance(args, dict):
                return self._name
            named = by_name(args)
            values = ",".join([_write(named.get(name, default)) for name, default in self._defaults.items()])
        except (ValueError, RecursionError):
            return self._name
        if len(values) > LONGEST_VALUES or not is_plain_text(values):
            return f"{self._name} #{hashlib.sha256(values.encode(errors='surrogatepass')).hexdigest()}"
        return f"{self._name} [{values}]"


def name_of_limit(limit: str) -> str:
    """Return the name of the limit that is known by this text."""
    return limit.partition(" ")[0]


def is_rate(limit: str) -> bool:
    """Return whether the limit that is known by this text is a rate limit."""
    return limit.partition(" ")[2].startswith(RATE.strip())


def without_values(limit: str) -> str:
    """Return the name on record of a limit, its text without values: ``bank``, or ``bank rate`` of a rate limit."""
    return f"{name_of_limit(limit)}{RATE if is_rate(limit) else ''}"


def _stored(default: object) -> JSONValue:
    """Return a default as it would be stored. What cannot be is one value too: that of all calls without one."""
    try:
        return None if default is inspect.Parameter.empty else encode(default, depth=1)
    except Exception:  # a value's own methods may raise anything
        return None


def _write(value: JSONValue) -> str:
    """Return a value as JSON: always the same, in whatever order a database or a set has its elements."""
    if type(value) is int:
        return str(value)
    return _to_json(value if isinstance(value, str) else in_one_order(value))
