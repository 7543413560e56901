"""Doing something to functions: first a page that says what it will do, then, once that is confirmed, the deed.

A large selection goes on from request to request: each does a batch, says how far it has come, and asks for the next.
The page does so by itself where there is JavaScript, and with a button where there is none.
"""

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_scheduler.admin.actions import ACTIONS, Action, counted
from django_scheduler.admin.durations import to_the_second
from django_scheduler.admin.permissions import may_act
from django_scheduler.admin.rows import Row, for_list
from django_scheduler.admin.selection import SELECTION_COUNTED_TO, Selection, numbers, progress
from django_scheduler.databases import Database
from django_scheduler.errors import SchedulerError
from django_scheduler.models import Failure, State
from django_scheduler.outcomes import Outcome
from django_scheduler.times import parse_time

if TYPE_CHECKING:
    from django_scheduler.admin.scheduled_function import ScheduledFunctionAdmin

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
