"""Pausing and resuming: a page that asks for the reason, then the deed, and who did it on record.

The overview: how the scheduler is doing, at one glance, and the switch that pauses it.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST

from django_scheduler import pausing, status
from django_scheduler.admin import statistics
from django_scheduler.admin.actions import ACTIONS, may_act, may_pause
from django_scheduler.admin.answers import Questions
from django_scheduler.admin.scheduled_function import SchedulerAdmin
from django_scheduler.models import LONGEST_QUEUE_NAME, Overview, Pause, State
from django_scheduler.status import QueueStatus


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=500,
        required=False,
        widget=forms.TextInput(attrs={"size": 60, "autofocus": True}),
        help_text=gettext_lazy("For the colleagues who wonder why nothing happens."),
    )


class PauseView:
    def __init__(self, admin: "OverviewAdmin", request: HttpRequest) -> None:
        if not may_pause(request):
            raise PermissionDenied
        self._admin = admin
        self._request = request
        self._using = admin.database.using
        self._queue = request.POST.get("queue", "")

    def response(self) -> HttpResponse:
        if len(self._queue) > LONGEST_QUEUE_NAME or "\0" in self._queue:
            messages.error(self._request, _("There is no such queue."))
            return self._back()
        if self._request.POST.get("do") == "resume":
            return self._resume()
        return self._pause()

    def _pause(self) -> HttpResponse:
        form = ReasonForm(self._request.POST if self._request.POST.get("confirmed") else None)
        if not form.is_valid():
            context = {
                **self._admin.page_context(self._request, _("Pause")),
                "form": form,
                "queue": self._queue,
            }
            return TemplateResponse(self._request, "admin/django_scheduler/overview/pause.html", context)
        reason = form.cleaned_data["reason"]
        if pausing.pause(self._using, self._queue, reason=reason, paused_by=self._request.user.get_username()):
            self._log(f"{_('Paused')}: {reason}" if reason else _("Paused"))
            messages.success(self._request, _("Paused. What is executing ends as always; nothing new begins."))
        else:
            messages.warning(self._request, _("It is paused already."))
        return self._back()

    def _resume(self) -> HttpResponse:
        if pausing.resume(self._using, self._queue):
            self._log(_("Resumed"))
            messages.success(self._request, _("Resumed."))
        else:
            messages.warning(self._request, _("It was not paused."))
        return self._back()

    def _log(self, message: str) -> None:
        LogEntry.objects.create(
            user_id=self._request.user.pk or 0,  # who may pause is signed in
            content_type=ContentType.objects.get_for_model(Pause),
            object_id=self._queue,
            object_repr=str(Pause(queue=self._queue))[:200],
            action_flag=CHANGE,
            change_message=message,
        )

    def _back(self) -> HttpResponse:
        name = self._admin.admin_site.name
        return HttpResponseRedirect(reverse("admin:django_scheduler_overview_changelist", current_app=name))


#: From which lag on people should look, in seconds: first with concern, then with haste.
LATE, VERY_LATE = 20.0, 300.0

#: From which difference of the clocks on they should be set right, in seconds.
CLOCKS_APART = 2.0


@dataclass(frozen=True, slots=True)
class QueueLine:
    """A queue, what waits in it, and whether it is paused."""

    name: str
    status: QueueStatus | None
    pause: Pause | None


@admin.register(Overview)
class OverviewAdmin(SchedulerAdmin):
    def get_urls(self) -> list[URLPattern]:
        pause = path(
            "pause/",
            self.admin_site.admin_view(csrf_protect(require_POST(self.pause_view))),
            name="django_scheduler_overview_pause",
        )
        return [pause, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request):
            raise PermissionDenied
        context = {**self.page_context(request, _("Overview")), **self._panels(request), "selected_tab": "overview"}
        return self.respond(request, "overview/overview", {**context, **(extra_context or {})})

    def change_view(self, *arguments: Any, **keywords: Any) -> HttpResponse:
        raise PermissionDenied  # there is nothing behind the overview that could be changed

    def history_view(self, *arguments: Any, **keywords: Any) -> HttpResponse:
        raise PermissionDenied

    def pause_view(self, request: HttpRequest) -> HttpResponse:
        """Pause or resume."""
        return PauseView(self, request).response()

    def _panels(self, request: HttpRequest) -> dict[str, Any]:
        database = self.database
        using = database.using
        functions = self.get_queryset(request)
        in_progress = functions.filter(state=State.IN_PROGRESS).order_by()
        with Questions(database) as ask:
            queues = ask(partial(status.queues, using))
            executors = ask(partial(status.executors, using))
            busy = ask(lambda: dict(in_progress.values_list("executor").annotate(Count("pk"))))
            recent = ask(partial(statistics.recent, database, functions))
            per_minute = ask(partial(statistics.per_minute, functions))
            upcoming = ask(partial(statistics.upcoming, functions))
            failures = ask(partial(statistics.failures, functions))
            pauses = {pause.queue: pause for pause in Pause.objects.using(using).order_by("queue")}
        lag = max((queue.lag for queue in queues.value or ()), default=0.0)
        return {
            "lag": lag,
            "lag_level": "bad" if lag > VERY_LATE else "warning" if lag > LATE else "good",
            "queues": queues,
            "due": sum(queue.due for queue in queues.value or ()),
            "pending": sum(queue.pending for queue in queues.value or ()),
            "most_counted": status.MOST_COUNTED,
            "queue_lines": _queue_lines(queues.value or (), pauses),
            "pause_of_everything": pauses.get(Pause.EVERYTHING),
            "running": sum((busy.value or {}).values()),
            "busy": busy,
            "executors": executors,
            "executor_lines": [
                {"executor": executor, "busy": (busy.value or {}).get(executor.name, 0)}
                for executor in executors.value or ()
            ],
            "living": sum(executor.is_alive for executor in executors.value or ()),
            "per_minute": per_minute,
            "upcoming": upcoming,
            "failures": failures,
            "recent": recent,
            "slowest": statistics.slowest(recent.value.speeds) if recent.value else [],
            "clock_difference": recent.value.clock_difference if recent.value else None,
            "clocks_differ": recent.value is not None and abs(recent.value.clock_difference or 0.0) > CLOCKS_APART,
            "may_pause": may_pause(request),
            "may_run_again": may_act(request, ACTIONS["run_again"]),
        }


def _queue_lines(queues: Any, pauses: dict[str, Pause]) -> list[QueueLine]:
    by_name = {queue.queue: queue for queue in queues}
    names = sorted({*by_name, *pauses} - {Pause.EVERYTHING})
    return [QueueLine(name, by_name.get(name), pauses.get(name)) for name in names]
