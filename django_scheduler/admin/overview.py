"""The overview shows how the scheduler is doing, and has the buttons that pause and resume it.

Pausing asks for the reason first. Who paused and resumed what, and why, is in the admin's log.
"""

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_scheduler import pausing, status
from django_scheduler.admin import statistics
from django_scheduler.admin.actions import ACTIONS, may_act, may_pause
from django_scheduler.admin.requests import answer_to_no_post, require_whole_characters
from django_scheduler.admin.scheduler_admin import SchedulerAdmin
from django_scheduler.admin.time_limit import Answer, Questions
from django_scheduler.admin.visibility import is_everything, visible_functions
from django_scheduler.models import LONGEST_QUEUE_NAME, Overview, Pause, ScheduledFunction, State

#: From which lag on the overview shows a problem, and not only a warning, in seconds.
VERY_LATE = 300.0

#: From which difference on the overview says that the clocks differ, in seconds.
CLOCKS_APART = 2.0


class ReasonForm(forms.Form):
    """Asks why somebody pauses."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=500,
        required=False,
        widget=forms.TextInput(attrs={"size": 60, "autofocus": True}),
        help_text=gettext_lazy("For the colleagues who wonder why nothing happens."),
    )


@admin.register(Overview)
class OverviewAdmin(SchedulerAdmin):
    def get_urls(self) -> list[URLPattern]:
        pause = self.admin_site.admin_view(self.pause_view)
        return [path("pause/", pause, name="django_scheduler_overview_pause"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> Any:
        """Return the functions that the site's list shows, if it has one: what is hidden there is hidden here."""
        if self.admin_site.is_registered(ScheduledFunction):
            return visible_functions(self.admin_site, request, self.database.using)
        return super().get_queryset(request)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        self.require_view(request)
        context = {"title": _("Overview"), **self._panels(request), "selected_tab": "overview"}
        return self.render(request, "overview/overview", {**context, **(extra_context or {})})

    def change_view(self, *arguments: Any, **keywords: Any) -> HttpResponse:
        raise PermissionDenied  # there is nothing behind the overview that could be changed

    def history_view(self, *arguments: Any, **keywords: Any) -> HttpResponse:
        raise PermissionDenied

    def pause_view(self, request: HttpRequest) -> HttpResponse:
        """Pause or resume a queue, or all of them."""
        if not self.has_view_permission(request) or not may_pause(request):
            raise PermissionDenied
        if request.method != "POST":
            return answer_to_no_post(request, self.url("overview_changelist"))
        require_whole_characters(request)
        queue = request.POST.get("queue", "")
        if len(queue) > LONGEST_QUEUE_NAME or "\0" in queue:
            messages.error(request, _("There is no such queue."))
        elif request.POST.get("do") == "resume":
            self._resume(request, queue)
        else:
            form = ReasonForm(request.POST if request.POST.get("confirmed") else None)
            if not form.is_valid():
                return self.render(request, "overview/pause", {"title": _("Pause"), "form": form, "queue": queue})
            self._pause(request, queue, form.cleaned_data["reason"])
        return HttpResponseRedirect(self.url("overview_changelist"))

    def _pause(self, request: HttpRequest, queue: str, reason: str) -> None:
        if pausing.pause(self.database.using, queue, reason=reason, paused_by=request.user.get_username()):
            self._log(request, queue, f"{_('Paused')}: {reason}" if reason else _("Paused"))
            messages.success(request, _("Paused. What is executing ends as always; nothing new begins."))
        else:
            messages.warning(request, _("It is paused already."))

    def _resume(self, request: HttpRequest, queue: str) -> None:
        if pausing.resume(self.database.using, queue):
            self._log(request, queue, _("Resumed"))
            messages.success(request, _("Resumed."))
        else:
            messages.warning(request, _("It was not paused."))

    def _log(self, request: HttpRequest, queue: str, message: str) -> None:
        pause: Any = Pause(queue=queue)  # which need not be there any more
        self.log_change(request, pause, message)

    def _panels(self, request: HttpRequest) -> dict[str, Any]:
        database = self.database
        using = database.using
        period = statistics.PERIODS.get(request.GET.get("period", ""), statistics.PERIODS["hour"])
        name = request.GET.get("function", "")
        if not name.isprintable():
            name = ""  # no function has such a name, and not every database takes it
        functions = self.get_queryset(request)
        shows_everything = is_everything(functions)
        in_progress = functions.filter(state=State.IN_PROGRESS).order_by()
        with Questions(database) as ask:
            # What these count and name is asked beside the queryset.
            queues = ask(partial(status.queues, using)) if shows_everything else Answer(())
            executors = ask(partial(status.executors, using)) if shows_everything else Answer(())
            busy = ask(lambda: dict(in_progress.values_list("executor").annotate(Count("pk"))))
            recent = ask(partial(statistics.recent, database, functions))
            last_hour = course = ask(partial(statistics.course, functions, statistics.PERIODS["hour"]))
            if name or period.name != "hour":
                course = ask(partial(statistics.course, functions.filter(name=name) if name else functions, period))
            upcoming = ask(partial(statistics.upcoming, functions))
            failures = ask(partial(statistics.failures, functions))
            unknown: Answer[tuple[status.UnknownFunction, ...]] = Answer(())
            if any(queue.has_unknown for queue in queues.value or ()):
                unknown = ask(partial(status.unknown_functions, using))
            pauses = {pause.queue: pause for pause in status.pauses(using)}
        by_queue = {queue.queue: queue for queue in queues.value or ()}
        by_executor = busy.value or {}
        lag = max((queue.lag for queue in by_queue.values()), default=0.0)
        problems: tuple[status.Problem, ...] = ()
        if shows_everything and queues.value is not None and executors.value is not None:
            problems = status.find_problems(queues.value, executors.value, pauses.values(), unknown.value or ())
        clock_difference = recent.value.clock_difference if recent.value else None
        return {
            # Of the pause of everything there is a banner with a button.
            "problems": [each for each in problems if (each.code, each.queue) != (status.ProblemCode.PAUSED, None)],
            "shows_everything": shows_everything,
            "lag": lag,
            "lag_level": "bad" if lag > VERY_LATE else "warning" if lag > status.LATE_AFTER else "good",
            "queues": queues,
            "due": sum(queue.due for queue in by_queue.values()),
            "pending": sum(queue.pending for queue in by_queue.values()),
            "most_counted": status.MOST_COUNTED,
            "queue_lines": [
                {
                    "name": queue,
                    "status": by_queue.get(queue),
                    "pause": pauses.get(queue),
                    "serving": sum(executor.serves(queue) for executor in executors.value or ()),
                }
                for queue in sorted({*by_queue, *pauses} - {Pause.EVERYTHING})
            ],
            "pause_of_everything": pauses.get(Pause.EVERYTHING),
            "running": sum(by_executor.values()),
            "busy": busy,
            "executors": executors,
            "executor_lines": [
                {"executor": executor, "busy": by_executor.get(executor.name, 0)} for executor in executors.value or ()
            ],
            "per_minute": Answer(last_hour.value.throughput if last_hour.value else None),
            "throughput": course.value.throughput if course.value else None,
            "lag_course": course.value.lag if course.value else None,
            "course": course,
            "periods": statistics.PERIODS.values(),
            "period": period,
            "function_name": name,
            "upcoming": upcoming,
            "failures": failures,
            "recent": recent,
            "slowest": recent.value.slowest if recent.value else [],
            "clock_difference": clock_difference,
            "clocks_differ": abs(clock_difference or 0.0) > CLOCKS_APART,
            "may_pause": may_pause(request),
            "may_run_again": may_act(request, ACTIONS["run_again"]),
        }
