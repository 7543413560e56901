"""Choose unfinished functions by their name, their time and their arguments.

SQL finds those whose arguments may be the given ones, and Python compares them: the JSON of the databases knows no
types, and each has its own idea of what is equal. So memory does not grow with the arguments, which are read by ids.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from inspect import Parameter

from django.db.models import Q, QuerySet
from django.db.models.fields.json import KeyTransform

from django_scheduler import values
from django_scheduler.databases import portions
from django_scheduler.errors import FunctionNotFound, InvalidArguments, InvalidSchedule
from django_scheduler.functions import AnyReference, registry, resolve
from django_scheduler.models import FAR, IS_UNFINISHED, LARGEST_ID, ScheduledFunction
from django_scheduler.suggestions import which_there_are
from django_scheduler.times import parse_for, parse_time
from django_scheduler.values import is_plain_text, short_repr


@dataclass(frozen=True, slots=True)
class Chosen:
    """Holds the unfinished functions that meet the conditions of ``cancel_all``."""

    rows: QuerySet[ScheduledFunction]
    #: What their arguments are, in a form that can be compared. The rows have only those that no database excludes.
    arguments: Mapping[str, Hashable]

    def ids(self) -> Iterator[Sequence[int]]:
        """Return the ids in ascending order, in portions."""
        for ids in portions(list(self.rows.order_by("pk").values_list("pk", flat=True))):
            yield self.still_of(ScheduledFunction.objects.using(self.rows.db), ids)

    def still_of(self, rows: QuerySet[ScheduledFunction], ids: Sequence[int]) -> Sequence[int]:
        """Return those of the ids whose rows have the arguments; what waits for a key may have been given others."""
        if not self.arguments or not ids:
            return ids
        found = rows.filter(pk__in=ids).order_by("pk").values_list("pk", "args")
        return [pk for pk, args in found if self._are_those(args)]

    def _are_those(self, args: object) -> bool:
        return isinstance(args, dict) and all(
            name in args and values.comparable(args[name]) == wanted for name, wanted in self.arguments.items()
        )


def parse_bounds(
    start: datetime | float | None, end: datetime | float | None
) -> tuple[datetime | None, datetime | None]:
    """Return the times between which functions are due that are to be canceled.

    Raises ``InvalidSchedule`` and ``TypeError``.
    """
    first, last = _parse_bound("start", start), _parse_bound("end", end)
    if first is not None and last is not None and first > last:
        raise InvalidSchedule(f"cancel_all() canceled nothing: start= is {start!r}, which is after end=, {end!r}.")
    return first, last


def _parse_bound(option: str, time: datetime | float | None) -> datetime | None:
    """Parse a time; an error names its option."""
    return (
        None if time is None else parse_for(f"cancel_all() canceled nothing, because of {option}=.", parse_time, time)
    )


def choose(
    using: str,
    *,
    function: AnyReference | None,
    start: datetime | None,
    end: datetime | None,
    args: Mapping[str, object] | None,
    batch_id: int | None = None,
) -> Chosen:
    """Return the unfinished functions of that name, of that time, with those arguments and of that batch."""
    rows = ScheduledFunction.objects.using(using).filter(IS_UNFINISHED)
    if batch_id is not None:
        rows = rows.filter(batch=batch_id) if 0 < batch_id <= LARGEST_ID else rows.none()
    if function is not None:
        # A name is taken as it is, so that what is left of a function that is gone can be canceled.
        rows = rows.filter(name__in=_names_on_record(function))
    if start is not None:
        rows = rows.exclude(due_time=FAR, waiting_since__lt=start).filter(due_time__gte=start)
    if end is not None:  # what waits for a limit was due when it began to wait
        rows = rows.filter(Q(due_time__lt=end) | Q(due_time=FAR, waiting_since__lt=end))
    arguments = {} if args is None else _stored(function, args)
    for number, (name, value) in enumerate(arguments.items()):
        if name.isascii() and name.isidentifier() and (found := values.findable(value)):
            path, plain = found
            place = reduce(lambda within, key: KeyTransform(key, within), path, KeyTransform(name, "args"))
            rows = rows.alias(**{f"argument_{number}": place}).filter(**{f"argument_{number}": plain})
    return Chosen(rows, {name: values.comparable(value) for name, value in arguments.items()})


def _stored(function: AnyReference | None, args: Mapping[str, object]) -> dict[str, values.JSONValue]:
    """Return arguments as they are stored.

    Raises ``InvalidArguments`` if they cannot be those of the function.
    """
    if not isinstance(args, Mapping) or not args:
        raise InvalidArguments(
            f"args= of cancel_all() is a dict of arguments by their names, with at least one, not {short_repr(args)}."
            " Nothing was canceled. Leave it out where the arguments do not matter."
        )
    known = registry.find(function) if isinstance(function, str) else function and resolve(function)
    if known:
        parameters = known.signature.parameters
        takes_any = any(each.kind is Parameter.VAR_KEYWORD for each in parameters.values())
        for name in () if takes_any else [each for each in args if each not in parameters]:
            hint = which_there_are(name, parameters, "It has")
            raise InvalidArguments(f"{known.name} has no parameter {name!r}, so nothing was canceled. {hint}")
    stored: dict[str, values.JSONValue] = json.loads(
        values.dump_arguments(known.name if known else "cancel_all(args=)", args)
    )
    return stored


def _names_on_record(function: AnyReference) -> list[str]:
    if not isinstance(function, str):
        return resolve(function).names
    if not is_plain_text(function):
        raise FunctionNotFound(
            f"No function is named {function!a}, so none of that name can be canceled: it has NUL or half of a"
            " surrogate pair, which no database takes."
        )
    known = registry.find(function)
    return known.names if known else [function]
