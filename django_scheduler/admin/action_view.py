"""What an action is to be done to: functions that were ticked, or all that match the filter of the list.

All that match are taken in batches, in the order of their ids, and no further than the newest one that there was when
the action was confirmed. So it comes to an end, also where it adds functions that match.

Doing something to functions: first a page that says what it will do, then, once that is confirmed, the deed.

A large selection goes on from request to request: each does a batch, says how far it has come, and asks for the next.
The page does so by itself where there is JavaScript, and with a button where there is none.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_scheduler.admin.actions import ACTIONS, Action, counted, may_act
from django_scheduler.admin.answers import Answer, ask
from django_scheduler.admin.filters import Filters, matches
from django_scheduler.admin.listing import Row, for_comparison, for_list
from django_scheduler.admin.readable import to_the_second
from django_scheduler.databases import Database
from django_scheduler.errors import SchedulerError
from django_scheduler.models import Failure, ScheduledFunction, State
from django_scheduler.scheduling import LARGEST_ID, Outcome
from django_scheduler.times import parse_time

if TYPE_CHECKING:
    from django_scheduler.admin.scheduled_function import ScheduledFunctionAdmin


#: How many functions are changed with one request.
BATCH = 500

#: How far ids are looked through with one statement, and for how long with one request, in seconds.
SPAN, PATIENCE = 20_000, 1.0

#: Counting ends here.
SELECTION_COUNTED_TO = 10_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Functions that were ticked; or, if ``filters`` is there, all that match it."""

    ids: tuple[int, ...]
    filters: Filters | None = None
    #: The ids between which all that match lie; those up to ``first`` have been dealt with.
    first: int = 0
    last: int = 0

    @classmethod
    def read(cls, request: HttpRequest) -> "Selection":
        """From a form. What is not understood selects nothing."""
        if request.POST.get("all"):
            filters = Filters.read(QueryDict(request.POST.get("query", "")).dict())
            return cls((), filters, _number(request.POST.get("first")), _number(request.POST.get("last")))
        ids = {_number(text) for text in request.POST.getlist("id")[:BATCH]} - {0}
        return cls(tuple(sorted(ids)))

    @staticmethod
    def query_of(request: HttpRequest) -> str:
        """The filter of the list that somebody came from, as the end of an address."""
        filters = Filters.read(QueryDict(request.POST.get("query", "")).dict())
        return f"?{filters.address()}" if filters else ""

    @property
    def is_empty(self) -> bool:
        return bool(self.filters.problems) if self.filters else not self.ids

    @property
    def is_done(self) -> bool:
        return self.first >= self.last

    def bounded(self, rows: QuerySet[ScheduledFunction]) -> "Selection":
        """With the bounds that hold from now on, for a selection that has none yet."""
        if self.filters is None or self.last:
            return self
        oldest = rows.order_by("pk").values_list("pk", flat=True).first()
        newest = rows.order_by("-pk").values_list("pk", flat=True).first()
        return replace(self, first=(oldest or 1) - 1, last=newest or 0)

    def count(self, database: Database, rows: QuerySet[ScheduledFunction]) -> Answer[int]:
        """How many there are, counted up to ``SELECTION_COUNTED_TO``; within the time limit of a query."""
        if self.filters is None:
            return Answer(len(self.ids))
        if self.is_empty:
            return Answer(0)
        filters = self.filters
        search = filters.search
        matching = rows.filter(filters.indexed(database), pk__lte=self.last)
        if search is not None and search.function_id is None:
            return Answer(None)  # only comparing tells
        matching = matching.filter(filters.others(database)).order_by()
        return ask(database, matching[: SELECTION_COUNTED_TO + 1].count)

    def next_batch(self, database: Database, rows: QuerySet[ScheduledFunction]) -> tuple[list[int], "Selection"]:
        """The ids of the next functions, and what is left of the selection."""
        if self.filters is None:
            return list(self.ids), Selection(())
        if self.is_empty:
            return [], Selection(())
        found: list[int] = []
        first, began = self.first, time.monotonic()
        while len(found) < BATCH and first < self.last and time.monotonic() < began + PATIENCE:
            until = min(first + SPAN, self.last)
            ids = self._matching(database, rows.filter(pk__gt=first, pk__lte=until), BATCH - len(found))
            found += ids
            first = ids[-1] if len(found) == BATCH else until
        return found, replace(self, first=first)

    def _matching(self, database: Database, rows: QuerySet[ScheduledFunction], limit: int) -> list[int]:
        assert self.filters is not None
        filters = self.filters
        rows = rows.filter(filters.indexed(database)).order_by("pk")
        if filters.search is None or filters.search.function_id is not None:
            return list(rows.filter(filters.others(database)).values_list("pk", flat=True)[:limit])
        found = []
        candidates = for_comparison(rows).filter(filters.others(database))
        for function in candidates.iterator(chunk_size=BATCH):
            if matches(filters.search, function):
                found.append(function.pk)
                if len(found) == limit:
                    break
        return found


def progress(selection: Selection, oldest: int) -> float:
    """Which part of a selection has been dealt with, from 0 to 1."""
    span = selection.last - oldest
    return (selection.first - oldest) / span if span > 0 else 1.0


def numbers(parameters: Mapping[str, str], names: list[str]) -> dict[str, int]:
    """Whole numbers out of a form; 0 for what is none."""
    return {name: _number(parameters.get(name)) for name in names}


def _number(text: str | None) -> int:
    is_number = text is not None and text.isascii() and text.isdecimal() and len(text) < 20
    return min(int(text), LARGEST_ID) if is_number and text else 0


#: How many of the selected functions the page shows.
SHOWN = 10


class TimeForm(forms.Form):
    """Another time for pending functions."""

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
    """One request to do something."""

    def __init__(self, admin: "ScheduledFunctionAdmin", request: HttpRequest) -> None:
        self._admin = admin
        self._request = request
        self._database: Database = admin.database
        self._rows = admin.get_queryset(request).using(self._database.using)
        self._action = self._permitted_action()
        self._selection = Selection.read(request)

    def response(self) -> HttpResponse:
        if self._selection.is_empty:
            messages.warning(self._request, _("Nothing was selected."))
            return self._back()
        form = self._form()
        is_confirmed = bool(self._request.POST.get("confirmed"))
        if not is_confirmed or (form is not None and not form.is_valid()):
            return self._ask(form)
        return self._do(form.cleaned_data["when"] if form is not None else None)

    def _permitted_action(self) -> Action:
        action = ACTIONS.get(self._request.POST.get("action", ""))
        if action is None or not may_act(self._request, action):
            raise PermissionDenied
        return action

    def _form(self) -> TimeForm | None:
        if not self._action.needs_time:
            return None
        if "when" in self._request.POST:
            return TimeForm(self._request.POST)
        return TimeForm(initial={"when": timezone.localtime()})

    def _ask(self, form: TimeForm | None) -> HttpResponse:
        selection = self._selection.bounded(self._rows)
        chosen = self._rows.filter(pk__in=selection.ids)
        states = Counter(chosen.values_list("state", flat=True)) if selection.filters is None else Counter[str]()
        number = selection.count(self._database, self._rows)
        legal = sum(states[state] for state in self._action.states)
        return self._render(
            "confirm",
            selection,
            form=form,
            number=number,
            is_more=(number.value or 0) > SELECTION_COUNTED_TO,
            most_counted=SELECTION_COUNTED_TO,
            legal=legal,
            illegal=len(selection.ids) - legal,
            rows=[Row(function) for function in for_list(chosen.order_by("-pk"))[:SHOWN]],
            not_shown=max(0, len(selection.ids) - SHOWN),
            lost=chosen.filter(state=State.FAILED, failure=Failure.LOST).count() if selection.ids else 0,
            time_zone=timezone.get_current_timezone_name(),
        )

    def _do(self, when: datetime | None) -> HttpResponse:
        selection = self._selection
        ids, left = selection.next_batch(self._database, self._rows)
        outcomes: dict[int, Outcome] = {}
        if ids:
            try:
                outcomes = self._action.run(self._database.using, ids, when)
            except SchedulerError as error:
                messages.error(self._request, str(error))
                return self._back()
            self._log([pk for pk, outcome in outcomes.items() if outcome is Outcome.DONE], when)
        so_far = counted(outcomes) + self._counted_before()
        if not left.is_done:
            oldest = numbers(self._request.POST.dict(), ["oldest"])["oldest"] or selection.first
            return self._render(
                "progress",
                left,
                so_far=[(f"count_{outcome.name}", number) for outcome, number in so_far.items()],
                summary=self._action.summary(so_far),
                oldest=oldest,
                percent=int(100 * progress(left, oldest)),
                when=self._request.POST.get("when", ""),
            )
        level = messages.SUCCESS if so_far[Outcome.DONE] else messages.WARNING
        messages.add_message(self._request, level, self._action.summary(so_far))
        return self._back()

    def _counted_before(self) -> Counter[Outcome]:
        names = {f"count_{outcome.name}": outcome for outcome in Outcome}
        before = numbers(self._request.POST.dict(), list(names))
        return Counter({outcome: before[name] for name, outcome in names.items() if before[name]})

    def _log(self, ids: list[int], when: datetime | None) -> None:
        if not ids:
            return
        message = f"{self._action.label}: {to_the_second(when)}" if when else str(self._action.label)
        functions = self._rows.filter(pk__in=ids).only("pk", "name")
        user: Any = self._request.user
        LogEntry.objects.log_actions(user.pk, list(functions), CHANGE, message)

    def _render(self, page: str, selection: Selection, **context: Any) -> HttpResponse:
        return TemplateResponse(
            self._request,
            f"admin/django_scheduler/scheduledfunction/{page}.html",
            {
                **self._admin.page_context(self._request, self._action.label),
                "action": self._action,
                "selection": selection,
                "query": selection.filters.address() if selection.filters else self._request.POST.get("query", ""),
                "back": self._back_url(),
                "came_from": self._request.POST.get("from", ""),
                **context,
            },
        )

    def _back(self) -> HttpResponse:
        return HttpResponseRedirect(self._back_url())

    def _back_url(self) -> str:
        name = self._admin.admin_site.name
        came_from = self._request.POST.get("from", "")
        if came_from == "overview":
            return reverse("admin:django_scheduler_overview_changelist", current_app=name)
        if came_from.isdecimal():
            return reverse("admin:django_scheduler_scheduledfunction_change", args=[came_from], current_app=name)
        query = Selection.query_of(self._request)
        return reverse("admin:django_scheduler_scheduledfunction_changelist", current_app=name) + query
