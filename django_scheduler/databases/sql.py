"""Fragments of SQL that several questions have in common."""

from collections.abc import Collection
from typing import Any

from django_scheduler.models import Pause, ScheduledFunction

TABLE = ScheduledFunction._meta.db_table
PAUSES = Pause._meta.db_table


class Sql:
    """A fragment of SQL with its parameters."""

    __slots__ = ("params", "text")

    def __init__(self, text: str, *params: Any) -> None:
        self.text = text
        self.params = params


def is_paused(lane: str) -> str:
    """Whether the queue of a lane is paused, as SQL."""
    return f"EXISTS (SELECT 1 FROM {PAUSES} pause WHERE pause.queue IN ('', {lane}.queue))"


def passing_over(ids: Collection[int]) -> Sql:
    return Sql(f" AND id NOT IN ({', '.join(['%s'] * len(ids))})" if ids else "", *ids)
