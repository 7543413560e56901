"""People do something to functions: first a page says what it will do, and once that is confirmed, it is done.

It is done to functions that were ticked, or to all that match the filter of the list. All that match are taken in
portions, in the order of their ids, and no further than the newest one that there was when the action was asked for.
So it comes to an end, also where it adds functions that match.

A large selection goes on from request to request: each does a portion, says how far it has come, and asks for the next.
The page does so by itself where there is JavaScript, and with a button where there is none.
"""

import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_scheduler.admin.actions import ACTIONS, may_act
from django_scheduler.admin.filters import Filters, chips, read_id
from django_scheduler.admin.listing import COMPARED, Row, for_comparison, for_list
from django_scheduler.admin.outlook import SELECTION_COUNTED_TO, outlook
from django_scheduler.admin.scheduler_admin import SchedulerAdmin
from django_scheduler.admin.times import to_the_second
from django_scheduler.databases import Database, limit_browsing
from django_scheduler.errors import SchedulerError
from django_scheduler.models import LARGEST_ID, ScheduledFunction
from django_scheduler.scheduling import InterventionResult
from django_scheduler.times import parse_time

#: How many functions are changed with one request.
PORTION = 500

#: How many functions are looked through with one statement, and for how long with one request, in seconds.
SPAN, SECONDS = 20_000, 1.0

#: How many of the selected functions the page shows.
SHOWN = 10


class TimeForm(forms.Form):
    """Asks for another time for pending functions."""

    when = forms.DateTimeField(
        label=gettext_lazy("Run at"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S"),
    )

    def clean_when(self) -> datetime:
        when: datetime = self.cleaned_data["when"]
        try:
            return parse_time(when)
        except SchedulerError as error:
            raise forms.ValidationError(str(error)) from error


class ActionView:
    """Answers a request to do something. Raises ``PermissionDenied`` if there is no such action for this user."""

    def __init__(self, admin: SchedulerAdmin, request: HttpRequest) -> None:
        action = ACTIONS.get(request.POST.get("action", ""))
        if action is None or not admin.has_view_permission(request) or not may_act(request, action):
            raise PermissionDenied
        self._action = action
        self._admin = admin
        self._request = request
        self._database: Database = admin.database
        self._rows = admin.get_queryset(request).using(self._database.using)
        #: The filter of the list that somebody came from.
        self._filters = Filters.read(QueryDict(request.POST.get("query", "")).dict())

    def response(self) -> HttpResponse:
        selection = self._selection()
        if selection.is_empty:
            messages.warning(self._request, _("Nothing was selected."))
            return self._back()
        form = self._form(selection)
        is_confirmed = bool(self._request.POST.get("confirmed"))
        if not is_confirmed or (form is not None and not form.is_valid()):
            return self._ask(selection, form)
        return self._do(selection, form.cleaned_data["when"] if form is not None else None)

    def _selection(self) -> "Selection":
        """Return what was selected. What is not understood selects nothing."""
        if self._request.POST.get("all"):
            return Selection((), self._filters, self._number("first"), self._number("last"))
        ids = {_number(text) for text in self._request.POST.getlist("id")}
        return Selection(() if 0 in ids else tuple(sorted(ids)))

    def _form(self, selection: "Selection") -> TimeForm | None:
        if not self._action.needs_time:
            return None
        if "when" in self._request.POST:
            return TimeForm(self._request.POST)
        if len(selection.ids) != 1:
            return TimeForm()
        function = (
            self._rows.only("state", "due_time", "waits_for", "waiting_since").filter(pk__in=selection.ids).first()
        )
        return TimeForm(initial={"when": limit_browsing.due_time_of(function) if function else None})

    def _ask(self, selection: "Selection", form: TimeForm | None) -> HttpResponse:
        selection = selection.bounded(self._rows)
        chosen = self._rows.filter(pk__in=selection.ids)
        return self._render(
            "confirm",
            selection,
            form=form,
            outlook=outlook(self._action, selection.matching(self._database, self._rows), self._database),
            most_counted=SELECTION_COUNTED_TO,
            rows=[Row(function) for function in for_list(chosen.order_by("-pk"))[:SHOWN]],
            not_shown=max(0, len(selection.ids) - SHOWN),
            chips=chips(self._filters.values),
            time_zone=timezone.get_current_timezone_name(),
        )

    def _do(self, selection: "Selection", when: datetime | None) -> HttpResponse:
        ids, left = selection.next_portion(self._database, self._rows)
        outcomes: dict[int, InterventionResult] = {}
        if ids:
            # What somebody may not see is not there.
            visible = set(self._rows.filter(pk__in=ids).values_list("pk", flat=True))
            outcomes = {pk: InterventionResult.GONE for pk in ids if pk not in visible}
            try:
                outcomes |= self._action.run(self._database.using, sorted(visible), when)
            except SchedulerError as error:
                messages.error(self._request, f"{self._action.label}: {error}")
                return self._back()
            self._log([pk for pk, outcome in outcomes.items() if outcome is InterventionResult.DONE], when)
        before = Counter({outcome: self._number(f"count_{outcome.name}") for outcome in InterventionResult})
        so_far = Counter(outcomes.values()) + before
        if not left.is_done:
            oldest = self._number("oldest") or selection.first
            return self._render(
                "progress",
                left,
                so_far=[(f"count_{outcome.name}", number) for outcome, number in so_far.items()],
                summary=self._action.summary(so_far),
                oldest=oldest,
                percent=int(100 * (left.first - oldest) / max(1, left.last - oldest)),
                when=self._request.POST.get("when", ""),
            )
        level = messages.SUCCESS if so_far[InterventionResult.DONE] else messages.WARNING
        messages.add_message(self._request, level, self._action.summary(so_far))
        return self._back()

    def _log(self, ids: list[int], when: datetime | None) -> None:
        if not ids:
            return
        message = f"{self._action.label}: {to_the_second(when)}" if when else str(self._action.label)
        functions = self._rows.filter(pk__in=ids).only("pk", "name")
        user: Any = self._request.user
        LogEntry.objects.log_actions(user.pk, list(functions), CHANGE, message)

    def _render(self, page: str, selection: "Selection", **context: Any) -> HttpResponse:
        context |= {
            "title": self._action.label,
            "action": self._action,
            "selection": selection,
            "query": selection.filters.address() if selection.filters else self._request.POST.get("query", ""),
            "back": self._back_url(),
            "came_from": self._request.POST.get("from", ""),
        }
        return self._admin.render(self._request, f"scheduledfunction/{page}", context)

    def _back(self) -> HttpResponse:
        return HttpResponseRedirect(self._back_url())

    def _back_url(self) -> str:
        came_from = self._request.POST.get("from", "")
        if came_from == "overview":
            return self._admin.url("overview_changelist")
        if pk := read_id(came_from):
            return self._admin.url("scheduledfunction_change", pk)
        query = f"?{self._filters.address()}" if self._filters else ""
        return self._admin.url("scheduledfunction_changelist") + query

    def _number(self, name: str) -> int:
        return _number(self._request.POST.get(name, ""))


@dataclass(frozen=True, slots=True)
class Selection:
    """Holds the functions that were ticked; or, if ``filters`` is there, all that match it."""

    ids: tuple[int, ...]
    filters: Filters | None = None
    #: The ids between which all that match lie; those up to ``first`` have been dealt with.
    first: int = 0
    last: int = 0

    @property
    def is_empty(self) -> bool:
        return not self.ids if self.filters is None else bool(self.filters.problems)

    @property
    def is_done(self) -> bool:
        return not self.ids if self.filters is None else self.first >= self.last

    def bounded(self, rows: QuerySet[ScheduledFunction]) -> "Selection":
        """Return the selection with the bounds that hold from now on, if it has none yet."""
        if self.filters is None or self.last:
            return self
        oldest = rows.order_by("pk").values_list("pk", flat=True).first()
        newest = rows.order_by("-pk").values_list("pk", flat=True).first()
        return replace(self, first=(oldest or 1) - 1, last=newest or 0)

    def matching(self, database: Database, rows: QuerySet[ScheduledFunction]) -> QuerySet[ScheduledFunction] | None:
        """Return the functions that are selected; ``None`` where only comparing tells, as with a search."""
        if self.filters is None:
            return rows.filter(pk__in=self.ids)
        if self.filters.search:
            return None
        return rows.filter(self.filters.indexed(database), self.filters.others(database), pk__lte=self.last)

    def next_portion(self, database: Database, rows: QuerySet[ScheduledFunction]) -> tuple[list[int], "Selection"]:
        """Return the ids of the next functions, and what is left of the selection."""
        if self.filters is None:
            return list(self.ids[:PORTION]), Selection(self.ids[PORTION:])
        found: list[int] = []
        first, began = self.first, time.monotonic()
        while len(found) < PORTION and first < self.last and time.monotonic() < began + SECONDS:
            # Not so many ids: those of SQLite are times, and wherever rows were deleted there are gaps.
            number = COMPARED if self.filters.search else SPAN
            following = rows.filter(pk__gt=first, pk__lte=self.last).order_by("pk").values_list("pk", flat=True)
            until = next(iter(following[number - 1 : number]), self.last)
            span = rows.filter(self.filters.indexed(database), pk__gt=first, pk__lte=until).order_by("pk")
            ids = _matching(span, self.filters, database, PORTION - len(found))
            found += ids
            first = ids[-1] if len(found) == PORTION else until
        return found, replace(self, first=first)


def _matching(rows: QuerySet[ScheduledFunction], filters: Filters, database: Database, limit: int) -> list[int]:
    rows, search = rows.filter(filters.others(database)), filters.search
    if search is None:
        return list(rows.values_list("pk", flat=True)[:limit])
    candidates = for_comparison(rows).iterator(chunk_size=500)
    return list(islice((pk for pk, *readable in candidates if search.finds(*readable)), limit))


def _number(text: str) -> int:
    """Return a whole number out of a form; 0 for what is none."""
    is_number = text.isascii() and text.isdecimal() and len(text) < 20
    return min(int(text), LARGEST_ID) if is_number else 0
