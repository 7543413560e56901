"""Before an action is confirmed, the page says what it will do: to how many functions, and what may happen twice.

Running a function again does once more what it did. A mutation that did not succeed was rolled back, and what never
began did nothing. But an action may have had its effect however it ended, and its body may even be running still:
nothing can stop a thread from outside.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from django.db.models import QuerySet
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_scheduler.admin.actions import Action
from django_scheduler.admin.time_limit import ask
from django_scheduler.databases import Database
from django_scheduler.functions import registry
from django_scheduler.models import Failure, Kind, ScheduledFunction, State

#: Looking at what is selected ends here.
SELECTION_COUNTED_TO = 10_000


class Effect(Enum):
    """Says what a function that has ended has done, or may have done."""

    #: It has succeeded.
    HAD = "had"
    #: Nobody knows how far it came.
    UNKNOWN = "unknown"
    #: It may be running still.
    GOES_ON = "goes on"
    #: It has done what comes before its error.
    PARTLY = "partly"


@dataclass(frozen=True, slots=True)
class Outlook:
    """Says what an action is going to do to a selection."""

    #: How many functions are selected, counted to one more than ``SELECTION_COUNTED_TO``; ``None``: nobody knows.
    number: int | None
    #: To how many of them it is not done: because of their state, and because their functions forbid it.
    in_other_states: int = 0
    forbidden: int = 0
    #: What may happen a second time.
    warnings: tuple[str, ...] = ()

    @property
    def is_more(self) -> bool:
        """Return whether there are more than were looked at."""
        return self.number is not None and self.number > SELECTION_COUNTED_TO

    @property
    def is_possible(self) -> bool:
        """Return whether it can be done to any of them, as far as anybody knows."""
        return self.number is None or self.is_more or self.in_other_states + self.forbidden < self.number


def outlook(action: Action, selected: QuerySet[ScheduledFunction] | None, database: Database) -> Outlook:
    """Look at what is selected, within the time limit of a query, and say what the action is going to do.

    ``selected``: ``None`` where only comparing tells what that is.
    """
    looked_at = None
    if selected is not None:
        rows = selected.order_by().only("name", "kind", "state", "failure", "started_time")
        looked_at = ask(database, lambda: list(rows[: SELECTION_COUNTED_TO + 1])).value
    if looked_at is None:
        return Outlook(None, warnings=(_unknown_number(),) if action.repeats else ())
    possible = [function for function in looked_at if function.state in action.states]
    in_other_states = len(looked_at) - len(possible)
    if not action.repeats:
        return Outlook(len(looked_at), in_other_states)
    allowed = [function for function in possible if may_run_again(function.name, function.kind)]
    warnings = _warnings(allowed, is_more=len(looked_at) > SELECTION_COUNTED_TO)
    return Outlook(len(looked_at), in_other_states, len(possible) - len(allowed), tuple(warnings))


def may_run_again(name: str, kind: str) -> bool:
    """Return whether people may run a function again: unless it is declared with ``rerun=False`` or ``admin=False``."""
    declared = registry.find_recorded(name, kind)
    return declared is None or (declared.rerun and declared.admin)


def effect_of(function: ScheduledFunction) -> Effect | None:
    """Return what a function that has ended has done, or may have done; ``None``: nothing."""
    if function.state == State.SUCCESS:
        return Effect.HAD
    if function.kind != Kind.ACTION or function.failure == Failure.MISSING:
        return None
    if function.failure == Failure.LOST:
        return Effect.UNKNOWN
    if function.started_time is None:
        return None
    return Effect.PARTLY if function.failure == Failure.ERROR else Effect.GOES_ON


def _warnings(functions: list[ScheduledFunction], *, is_more: bool) -> Iterator[str]:
    if is_more:
        yield _unknown_number()
    numbers = Counter(map(effect_of, functions))
    for effect in Effect:
        if number := numbers[effect]:
            shown = number_format(number, force_grouping=True)
            yield _warning(effect, number) % {"number": f"{shown}+" if is_more else shown}


def _unknown_number() -> str:
    return _("How many of them have had their effect already is not known: whatever they did, they do again.")


def _warning(effect: Effect, number: int) -> str:
    match effect:
        case Effect.HAD:
            return ngettext(
                "%(number)s of them has succeeded, so it has had its effect: whatever it did, it does a second time.",
                "%(number)s of them have succeeded, so they have had their effect: whatever they did, they do a second"
                " time.",
                number,
            )
        case Effect.UNKNOWN:
            return ngettext(
                "%(number)s of them is an action whose outcome is unknown: it may have had its effect already.",
                "%(number)s of them are actions whose outcome is unknown: they may have had their effect already.",
                number,
            )
        case Effect.GOES_ON:
            return ngettext(
                "%(number)s of them is an action that was given up or canceled while it was running: it may have had"
                " its effect already, and it may be running still.",
                "%(number)s of them are actions that were given up or canceled while they were running: they may have"
                " had their effect already, and they may be running still.",
                number,
            )
        case Effect.PARTLY:
            return ngettext(
                "%(number)s of them is an action that failed after it had begun: what it did before the error, it does"
                " a second time.",
                "%(number)s of them are actions that failed after they had begun: what they did before the error, they"
                " do a second time.",
                number,
            )
