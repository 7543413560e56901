"""Where other parts of the app add to the pages of the admin: append to these lists when the admin is imported."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest

from django_scheduler.models import ScheduledFunction


@dataclass(frozen=True, slots=True)
class Tab:
    """A page beside the overview and the list."""

    label: Any
    #: Of its URL, such as ``admin:django_scheduler_cron_changelist``.
    url_name: str
    is_permitted: Callable[[HttpRequest], bool]


@dataclass(frozen=True, slots=True)
class Link:
    """Something that a function is related to, such as the cron that scheduled it."""

    label: Any
    text: str
    url: str


#: Pages beside the overview and the list.
tabs: list[Tab] = []


def tabs_for(request: HttpRequest) -> list[Tab]:
    """The pages beside the overview and the list that this user may see."""
    return [tab for tab in tabs if tab.is_permitted(request)]


#: Given an alias, the two ends of a period and the width of its parts: how much is going to be scheduled in each part
#: that has no row yet.
upcoming_sources: list[Callable[[str, datetime, datetime, timedelta], Sequence[int]]] = []

#: Given a request and a function, what the function comes from, for its page.
origin_sources: list[Callable[[HttpRequest, ScheduledFunction], Sequence[Link]]] = []
