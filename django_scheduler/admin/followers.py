"""What follows an end is linked with what has ended, as far as the record says so.

A callback has what it follows on record in its argument ``outcome``, and what has ended has the names of its callbacks.
Those of a function are its children, so an index finds them. Those of a batch are found only by looking at arguments.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from django_scheduler.admin.listing import Row
from django_scheduler.models import ScheduledFunction
from django_scheduler.record import BatchOutcome, Outcome, callbacks
from django_scheduler.values import JSONValue


class Follower(NamedTuple):
    """Describes a callback."""

    #: When it is scheduled.
    label: str
    name: str
    #: Itself, if what it follows has ended and it is found.
    function: ScheduledFunction | None = None


def label_of(on: str) -> str:
    """Return when a callback is scheduled."""
    return {callbacks.COMPLETE: _("When it ends"), callbacks.FAILURE: _("When it does not succeed")}[on]


def followers(function: ScheduledFunction, children: Iterable[Row]) -> Iterator[Follower]:
    """Yield what is scheduled when a function ends, or was scheduled when it ended and is among its children."""
    left = [child.function for child in children if followed(child.args, Outcome) == function.pk]
    for callback in function.callbacks or ():
        found = next((child for child in left if child.name == callback["name"]), None)
        if found:
            left.remove(found)
        yield Follower(label_of(callback["on"]), callback["name"], found)


def followed(args: JSONValue, kind: type[Outcome | BatchOutcome]) -> int | None:
    """Return the id of the function or the batch whose outcome is among stored arguments, or ``None``."""
    outcome: Any = args.get("outcome") if isinstance(args, dict) else None
    match outcome:
        case {"$dataclass": [str(path), {"id": int(pk)}]} if path == f"{kind.__module__}:{kind.__qualname__}":
            return pk
    return None
