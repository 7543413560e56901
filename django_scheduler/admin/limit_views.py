"""The page of limits, and what people do there: change their numbers, and take a slot from a function.

Both ask for the reason. It is in the admin's log, and that of a change stands beside it for as long as it holds.
"""

from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.core.validators import MaxValueValidator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import URLPattern, path
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_scheduler.admin import limits
from django_scheduler.admin.actions import may_change_limits, may_release_slots
from django_scheduler.admin.filters import read_id
from django_scheduler.admin.requests import answer_to_no_post, is_understood, require_whole_characters
from django_scheduler.admin.scheduler_admin import SchedulerAdmin
from django_scheduler.admin.time_limit import Questions
from django_scheduler.admin.visibility import is_everything
from django_scheduler.functions import MOST_SLOTS, MOST_STARTS
from django_scheduler.limits import change as change_limit
from django_scheduler.limits import release as release_slot
from django_scheduler.limits import reset as reset_limit
from django_scheduler.models import LONGEST_LIMIT, LONGEST_REASON, Limit, Slot


class ReleaseForm(forms.Form):
    """Asks why somebody takes a slot from a function."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=LONGEST_REASON,
        widget=forms.TextInput(attrs={"size": 60, "autofocus": True}),
    )


class ChangeForm(ReleaseForm):
    """Asks how many bodies of a limit run at once or begin within a period, unless the code is to say it, and why."""

    field_order = ("number", "reason")

    number = forms.IntegerField(min_value=0, help_text=gettext_lazy("0: nothing of it begins."))

    def __init__(self, limit: limits.NamedLimit, data: QueryDict | None) -> None:
        #: Whether the code is to say it again.
        self.is_reset = data is not None and data.get("do") == "reset"
        super().__init__(data, initial={"number": limit.size})
        number = self.fields["number"]
        number.required = not self.is_reset
        self.label = number.label = capfirst(limit.per) if limit.is_rate else _("At once")
        most = MOST_STARTS if limit.is_rate else MOST_SLOTS
        number.validators.append(MaxValueValidator(most))
        number.widget.attrs["max"] = most


class LimitViews(SchedulerAdmin):
    """Is the part of ``OverviewAdmin`` that shows limits, changes them, and takes slots from functions."""

    def get_urls(self) -> list[URLPattern]:
        pages = {"": self.limits_view, "change/": self.change_limit_view, "release/": self.release_slot_view}
        names = {"": "limits", "change/": "change_limit", "release/": "release_slot"}
        return [
            *(
                path(
                    f"limits/{part}", self.admin_site.admin_view(view), name=f"django_scheduler_overview_{names[part]}"
                )
                for part, view in pages.items()
            ),
            *super().get_urls(),
        ]

    def limits_view(self, request: HttpRequest) -> HttpResponse:
        """Show what waits for each limit and what has its slots, page by page, or of one limit alone."""
        self.require_view(request)
        if not is_everything(self.get_queryset(request)):
            raise PermissionDenied
        after, only = request.GET.get("after", ""), request.GET.get("limit", "")
        if not is_understood(request) or max(len(after), len(only)) > LONGEST_LIMIT:
            after = only = ""
        position = limits.Position(after, is_in_others="others" in request.GET)
        if only and not limits.shown_limit(only).address:
            raise PermissionDenied  # nobody finds what is masked
        with Questions(self.database) as ask:
            named = ask(lambda: list(limits.named_limits(self.database)))
            if only:
                page = ask(partial(limits.page_of_one, self.database, only))
            else:
                page = ask(partial(limits.limit_page, self.database, position))
        context = {
            "title": _("Limits"),
            "named": named,
            "limits": page,
            "only": limits.shown_limit(only) if only else None,
            "is_first": position == limits.Position(),
            "counted_to": limits.COUNTED_TO,
            "may_change": may_change_limits(request),
            "may_release": may_release_slots(request),
            "selected_tab": "overview",
        }
        return self.render(request, "overview/limits", context)

    def change_limit_view(self, request: HttpRequest) -> HttpResponse:
        """Set the number of a limit, or let the code say it again."""
        if not self._may(request) or not may_change_limits(request):
            raise PermissionDenied
        if request.method != "POST":
            return answer_to_no_post(request, self.url("overview_limits"))
        require_whole_characters(request)
        name = request.POST.get("name", "")
        limit = {each.name: each for each in limits.named_limits(self.database)}.get(name)
        if limit is None:
            messages.error(request, _("There is no such limit."))
            return self._back_to_limits()
        form = ChangeForm(limit, request.POST if request.POST.get("confirmed") else None)
        if not form.is_valid():
            context = {"title": _("Change the limit"), "form": form, "limit": limit}
            return self.render(request, "overview/change_limit", context)
        if form.is_reset:
            self._reset(request, limit, form)
        else:
            self._change(request, limit, form)
        return self._back_to_limits()

    def _change(self, request: HttpRequest, limit: limits.NamedLimit, form: ChangeForm) -> None:
        number, reason, who = form.cleaned_data["number"], form.cleaned_data["reason"], request.user.get_username()
        change_limit(self.database.using, limit.name, number, reason=reason, changed_by=who)
        self._log_limit(request, limit.name, f"{form.label}: {number}: {reason}")
        messages.success(request, _("Changed. It holds for what begins from now on."))

    def _reset(self, request: HttpRequest, limit: limits.NamedLimit, form: ChangeForm) -> None:
        if reset_limit(self.database.using, limit.name):
            message = f"{form.label}: {_('As the code says')}: {form.cleaned_data['reason']}"
            self._log_limit(request, limit.name, message)
            messages.success(request, _("What the code says is the limit again."))
        else:
            messages.warning(request, _("It was as the code says already."))

    def release_slot_view(self, request: HttpRequest) -> HttpResponse:
        """Take a slot from the action that holds it."""
        if not self._may(request) or not may_release_slots(request):
            raise PermissionDenied
        if request.method != "POST":
            return answer_to_no_post(request, self.url("overview_limits"))
        require_whole_characters(request)
        slot_id, function_id, attempt = (
            read_id(request.POST.get(name, "")) or 0 for name in ("slot", "function", "attempt")
        )
        slots = Slot.objects.using(self.database.using).filter(pk=slot_id, function=function_id, attempt=attempt)
        slot = slots.select_related("function").first()
        form = ReleaseForm(request.POST if request.POST.get("confirmed") else None)
        if slot is not None and not form.is_valid():
            shown = limits.shown_limit(slot.limit)
            context = {"title": _("Release the slot"), "form": form, "slot": slot, "limit": shown}
            return self.render(request, "overview/release_slot", context)
        reason, who = form.cleaned_data["reason"] if slot else "", request.user.get_username()
        using = self.database.using
        if slot and release_slot(using, slot_id, function_id, attempt, reason=reason, released_by=who):
            self._log_release(request, slot, reason)
            messages.success(request, _("Released. Another function of the limit may begin."))
        else:
            messages.warning(request, _("The function does not hold the slot any more."))
        return self._back_to_limits()

    def _may(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and is_everything(self.get_queryset(request))

    def _back_to_limits(self) -> HttpResponse:
        return HttpResponseRedirect(self.url("overview_limits"))

    def _log_limit(self, request: HttpRequest, name: str, message: str) -> None:
        limit: Any = Limit(name=name)  # which need not be there any more
        self.log_change(request, limit, message)

    def _log_release(self, request: HttpRequest, slot: Slot, reason: str) -> None:
        """Put it on record beside what else was done to the function, if that is still on record."""
        functions = self.get_queryset(request).filter(pk=slot.function.pk).only("pk", "name") if slot.function else ()
        limit = limits.shown_limit(slot.limit).text
        message = _("Slot of the limit %(limit)s released: %(reason)s") % {"limit": limit, "reason": reason}
        user: Any = request.user
        LogEntry.objects.log_actions(user.pk, list(functions), CHANGE, message)
