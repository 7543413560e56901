"""What follows the end of a function: its callbacks are scheduled, and its batch counts it.

What competes for the end of a function changes its row conditionally, so one does it, and does this in the same
transaction. Functions that have neither are no ``FollowedFunction``, and cost nothing.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from django_scheduler.databases import Database
from django_scheduler.record import batches
from django_scheduler.record.callbacks import DueCallbacks, schedule_callbacks
from django_scheduler.record.outcomes import Outcome


class FollowedFunction(NamedTuple):
    """Names a function that has callbacks or a batch, and what they need to know of it besides its end."""

    id: int
    name: str
    attempts: int
    #: What is known of the request that caused it, as JSON.
    context: str | None
    #: As JSON.
    callbacks: str | None
    batch_id: int | None


def follow(database: Database, ended: Sequence[tuple[FollowedFunction, Outcome]]) -> None:
    """Do what follows these ends, as part of the open transaction. The results of the outcomes are given encoded."""
    schedule_callbacks(
        database,
        [
            DueCallbacks(each.callbacks, each.context, each.id, outcome)
            for each, outcome in ended
            if each.callbacks is not None
        ],
    )
    members = [(each, outcome) for each, outcome in ended if each.batch_id is not None]
    states: dict[int, Counter[str]] = {}
    for each, outcome in members:
        assert each.batch_id is not None
        states.setdefault(each.batch_id, Counter())[outcome.state] += 1
    batches.count_ends(database, states)
