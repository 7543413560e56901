"""The admin lists scheduled functions, has a page for each, and does something to them. Nothing is edited as a form."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_scheduler import status
from django_scheduler.admin import batches, detail, limits, listing
from django_scheduler.admin.action_view import ActionView
from django_scheduler.admin.actions import ACTIONS, may_act
from django_scheduler.admin.crons import links_to_cron
from django_scheduler.admin.filters import CHOICES, LIMITED, Filters, chips, menus, read_id
from django_scheduler.admin.followers import followers
from django_scheduler.admin.outlook import may_run_again
from django_scheduler.admin.readable import visible
from django_scheduler.admin.requests import answer_to_no_post, require_whole_characters
from django_scheduler.admin.scheduler_admin import SchedulerAdmin
from django_scheduler.admin.time_limit import Questions
from django_scheduler.admin.visibility import is_everything
from django_scheduler.databases import Database, browsing, limit_browsing
from django_scheduler.functions import declared_queues
from django_scheduler.middleware import serving
from django_scheduler.models import ScheduledFunction, State
from django_scheduler.status import queues_on_record

#: The answer to a page that refreshes itself while the database is late: it keeps what it shows, and what is ticked.
NOTHING_NEW = partial(HttpResponse, status=204)

#: Counting the functions in a state ends here.
STATE_COUNTED_TO = 1_000


@admin.register(ScheduledFunction)
class ScheduledFunctionAdmin(SchedulerAdmin):
    list_per_page = 50

    def get_urls(self) -> list[URLPattern]:
        act = self.admin_site.admin_view(self.act_view)
        return [path("act/", act, name="django_scheduler_scheduledfunction_act"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        self.require_view(request)
        filters = Filters.read(request.GET)
        rows = self.get_queryset(request)
        functions = listing.Listing(self.database, rows, filters)
        after, before = request.GET.get("after", ""), request.GET.get("before", "")
        sees_everything, is_live = is_everything(rows), "live" in request.GET
        with Questions(self.database) as ask:
            answer = ask(lambda: functions.page(size=self.list_per_page, after=after, before=before))
            counts = ask(lambda: _count_states(self.database, rows))
            # A page that refreshes itself keeps its menus.
            queues = ask(lambda: queues_on_record(self.database) if sees_everything and not is_live else set())
            batch = ask(lambda: _batch(self.database, rows, filters))
        page = answer.value or listing.Page([])
        known = declared_queues() | (queues.value or set()) | {function.queue for function in page.rows}
        context = {
            "title": _("Scheduled functions"),
            "filters": filters,
            "query": filters.address(),
            "menus": list(menus(filters, known)),
            "chips": chips(filters.without_field),
            "state_tabs": list(_state_tabs(filters, counts.value or {})),
            "counts_are_late": counts.is_late,
            "is_late": answer.is_late,
            "batch_line": batch.value,
            "shows_everything": sees_everything,
            "page": page,
            "rows": [listing.Row(function) for function in page.rows],
            "older": filters.address(after=str(page.after)) if page.after else "",
            "newer": filters.address(before=str(page.before)) if page.before else "",
            "first": filters.address() if after or before else None,
            "actions": [
                action
                for action in ACTIONS.values()
                if may_act(request, action) and not filters.states.isdisjoint(action.states)
            ],
            "selected_tab": "list",
            **(extra_context or {}),
        }
        if answer.is_late and is_live:
            return NOTHING_NEW()
        return self.render(request, "scheduledfunction/list", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self.require_view(request)
        pk = read_id(object_id)
        if pk is None:
            raise Http404(f"There is no scheduled function {object_id[:40]}.")
        rows = self.get_queryset(request)
        with Questions(self.database) as ask:
            found = ask(lambda: [detail.load(rows, pk)])
            function = found.value[0] if found.value else None
            relatives = ask(lambda: detail.relatives(rows, function) if function else {})
            is_running = function is not None and function.state == State.IN_PROGRESS
            executors = ask(lambda: status.executors(self.database.using) if is_running else ())
            why = ask(lambda: [limits.why_it_waits(self.database, rows, function) if function else None])
        if found.is_late and "live" in request.GET:
            return NOTHING_NEW()
        if found.is_late:
            late = {"title": _("The database did not answer in time")}
            return self.render(request, "scheduledfunction/late", late, status=503)
        if function is None:
            gone = {"title": _("No such function"), "object_id": object_id}
            return self.render(request, "scheduledfunction/gone", gone, status=404)
        context = {
            "title": visible(function.name),
            "function": function,
            "due_time": limit_browsing.due_time_of(function),
            "waits": limit_browsing.waits(function),
            "why": why.value[0] if why.value else None,
            "counted_to": limits.COUNTED_TO,
            "timeline": list(detail.timeline(function, timezone.now())),
            "unknown_outcome": detail.unknown_outcome(function, executors.value or ()),
            "earlier_attempts": list(detail.earlier_attempts(function)),
            "arguments": detail.shown(function, "args"),
            "result": detail.shown(function, "result"),
            **(relatives.value or {"followers": list(followers(function, ()))}),
            "relatives_are_late": relatives.is_late,
            "causes": list(detail.causes(function)),
            "origins": links_to_cron(self.admin_site, request, function),
            "actions": [
                action
                for action in ACTIONS.values()
                if may_act(request, action) and function.state in action.states
                if not action.repeats or may_run_again(function.name, function.kind)
            ],
            "forbids_rerun": not may_run_again(function.name, function.kind),
            "selected_tab": "list",
            **(extra_context or {}),
        }
        return self.render(request, "scheduledfunction/detail", context)

    def act_view(self, request: HttpRequest) -> HttpResponse:
        """Cancel functions, run them now or again, or reschedule them."""
        if request.method != "POST":
            return answer_to_no_post(request, self.url("scheduledfunction_changelist"))
        require_whole_characters(request)
        with serving(request):
            return ActionView(self, request).response()


def _count_states(database: Database, rows: QuerySet[ScheduledFunction]) -> dict[str, int]:
    if not is_everything(rows):
        return {}  # counting through any condition takes its time
    numbers, limited = browsing.count_states(database, State.values, at_most=STATE_COUNTED_TO + 1)
    return {**numbers, LIMITED: limited}


def _batch(database: Database, rows: QuerySet[ScheduledFunction], filters: Filters) -> batches.BatchLine | None:
    """Return the batch whose members are asked for, if one of them may be seen."""
    batch_id = int(filters.values.get("batch", 0))
    if not batch_id or not (is_everything(rows) or rows.filter(batch=batch_id).exists()):
        return None
    return batches.the_batch(database, batch_id)


def _state_tabs(filters: Filters, counts: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Yield the states one can choose, with how many functions are in each."""
    for value, label in {"": _("all"), **CHOICES["state"]}.items():
        number = counts.get(value)
        yield {
            "value": value,
            "label": label,
            "address": filters.address(state=value),
            "is_chosen": filters.state == value,
            "count": None if number is None else min(number, STATE_COUNTED_TO),
            "is_more": number is not None and number > STATE_COUNTED_TO,
        }
