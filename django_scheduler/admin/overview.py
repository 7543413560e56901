"""The overview shows how the scheduler is doing, and has the buttons that pause and resume it.

Pausing asks for the reason first. Who paused and resumed what, and why, is in the admin's log.
"""

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_scheduler import pausing
from django_scheduler.admin import batches, panels, statistics
from django_scheduler.admin.actions import ACTIONS, may_act, may_pause
from django_scheduler.admin.filters import read_id
from django_scheduler.admin.limit_views import LimitViews
from django_scheduler.admin.requests import answer_to_no_post, require_whole_characters
from django_scheduler.admin.time_limit import ask
from django_scheduler.admin.visibility import is_everything, visible_functions
from django_scheduler.models import LONGEST_QUEUE_NAME, LONGEST_REASON, Overview, Pause, ScheduledFunction


class ReasonForm(forms.Form):
    """Asks why somebody pauses."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=LONGEST_REASON,
        required=False,
        widget=forms.TextInput(attrs={"size": 60, "autofocus": True}),
        help_text=gettext_lazy("For the colleagues who wonder why nothing happens."),
    )


@admin.register(Overview)
class OverviewAdmin(LimitViews):
    def get_urls(self) -> list[URLPattern]:
        pause = self.admin_site.admin_view(self.pause_view)
        all_batches = self.admin_site.admin_view(self.batches_view)
        return [
            path("pause/", pause, name="django_scheduler_overview_pause"),
            path("batches/", all_batches, name="django_scheduler_overview_batches"),
            *super().get_urls(),
        ]

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

    def batches_view(self, request: HttpRequest) -> HttpResponse:
        """Show the batches that are open, or all of them, the newest first, page by page."""
        self.require_view(request)
        if not is_everything(self.get_queryset(request)):
            raise PermissionDenied
        shows_all, before = bool(request.GET.get("all")), read_id(request.GET.get("before", ""))
        find = batches.all_batches if shows_all else batches.open_batches
        answer = ask(self.database, partial(find, self.database, batches.PAGE_LINES, before))
        context = {
            "title": _("Batches"),
            "batches": answer,
            "shows_all": shows_all,
            "is_first": before is None,
            "selected_tab": "overview",
        }
        return self.render(request, "overview/batches", context)

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
        name = request.GET.get("function", "")
        if not name.isprintable():
            name = ""  # no function has such a name, and not every database takes it
        period = statistics.PERIODS.get(request.GET.get("period", ""), statistics.PERIODS["hour"])
        return {
            **panels.of(self.database, self.get_queryset(request), period, name),
            "periods": statistics.PERIODS.values(),
            "period": period,
            "function_name": name,
            "may_pause": may_pause(request),
            "may_run_again": may_act(request, ACTIONS["run_again"]),
        }
