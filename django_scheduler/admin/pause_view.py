"""Pausing and resuming: a page that asks for the reason, then the deed, and who did it on record."""

from typing import TYPE_CHECKING

from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_scheduler import pausing
from django_scheduler.admin.permissions import may_pause
from django_scheduler.models import LONGEST_QUEUE_NAME, Pause

if TYPE_CHECKING:
    from django_scheduler.admin.overview import OverviewAdmin


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
