"""What the page of a cron shows: when it runs next, in its own zone and in the viewer's, and how it went.

The admin of crons: what recurs, when it runs next and how it went; paused, resumed, run and registered there too.
"""

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from django_scheduler.admin import extension
from django_scheduler.admin.actions import may_view
from django_scheduler.admin.cron_form import PREVIEW, PREVIEWED_RUNS, CronForm
from django_scheduler.admin.readable import NONE, moment
from django_scheduler.crons import Cron, CronRun, CronRunState, Crons, CronState, Origin, in_words, next_runs
from django_scheduler.errors import InvalidSchedule, SchedulerError
from django_scheduler.masking import masked
from django_scheduler.models import ScheduledFunction

#: How many records of a cron's history are shown.
SHOWN_RECORDS = 50


#: The look of a badge is that of a function's state.
LOOKS: dict[CronState | CronRunState, str] = {
    CronState.ACTIVE: "success",
    CronState.PAUSED: "paused",
    CronState.REMOVED: "canceled",
    CronRunState.SCHEDULED: "in_progress",
    CronRunState.SUCCESS: "success",
    CronRunState.FAILED: "failed",
    CronRunState.REFUSED: "failed",
    CronRunState.CANCELED: "canceled",
    CronRunState.SKIPPED: "canceled",
    CronRunState.MISSED: "canceled",
    CronRunState.UNKNOWN: "pending",
}


def badge(state: CronState | CronRunState) -> SafeString:
    """A state as an icon and a word."""
    look = {"state": LOOKS[state], "label": state.label}
    return render_to_string("admin/django_scheduler/includes/state.html", look)


def next_runs_of(cron: Cron) -> list[datetime]:
    if cron.next_time is None:
        return []
    try:
        later = next_runs(cron.schedule, cron.next_time, PREVIEWED_RUNS - 1, anchor=cron.anchor)
    except InvalidSchedule:
        return []
    return [cron.next_time, *later]


def in_both_zones(runs: list[datetime], zone: str) -> list[tuple[str, str]]:
    try:
        crons_zone = ZoneInfo(zone) if zone else None
    except (LookupError, ValueError, OSError):
        crons_zone = None
    return [(_to_the_second(run, crons_zone), _to_the_second(run)) for run in runs]


def history(cron: Cron) -> list[dict[str, Any]]:
    records = list(CronRun.objects.using(cron._state.db).filter(cron=cron).order_by("-pk")[:SHOWN_RECORDS])
    functions = ScheduledFunction.objects.using(cron._state.db)
    there = set(functions.filter(pk__in=[each.function_id for each in records]).values_list("pk", flat=True))
    return [
        {
            "slot": _to_the_second(record.slot),
            "last_slot": _to_the_second(record.last_slot) if record.slots > 1 else "",
            "slots": record.slots,
            "state": badge(CronRunState(record.state)),
            "completed": record.completed_time,
            "function": record.function_id if record.function_id in there else None,
            "error": record.error,
        }
        for record in records
    ]


def _to_the_second(time: datetime | None, zone: ZoneInfo | None = None) -> str:
    """Django's own formats leave the seconds and the offset out, and here they matter."""
    return date_format(timezone.localtime(time, zone), "Y-m-d H:i:s O") if time else "-"


if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Cron]
else:
    ModelAdmin = admin.ModelAdmin


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return CronState.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Cron]) -> QuerySet[Cron]:
        match self.value():
            case CronState.REMOVED:
                return queryset.filter(removed_time__isnull=False)
            case CronState.PAUSED:
                return queryset.filter(removed_time=None, paused_time__isnull=False)
            case CronState.ACTIVE:
                return queryset.filter(removed_time=None, paused_time=None)
        return queryset


@admin.register(Cron)
class CronAdmin(ModelAdmin):
    form = CronForm
    change_list_template = "admin/django_scheduler/cron/change_list.html"
    change_form_template = "admin/django_scheduler/cron/change_form.html"
    list_display = ("name", "state_badge", "when", "next_run", "last_outcome", "function", "origin")
    list_filter = (StateFilter, "origin")
    search_fields = ("name", "function")
    ordering = ("name",)
    list_select_related = ("last_run",)
    actions = ("pause_selected", "resume_selected", "run_selected_now")

    # What is shown

    @admin.display(description=_("state"))
    def state_badge(self, cron: Cron) -> str:
        return badge(cron.state)

    @admin.display(description=_("schedule"))
    def when(self, cron: Cron) -> str:
        return f"{in_words(cron)} ({cron.timezone})" if cron.timezone else in_words(cron)

    @admin.display(description=_("next run"), ordering="next_time")
    def next_run(self, cron: Cron) -> str:
        return moment(cron.next_time)

    @admin.display(description=_("last run"))
    def last_outcome(self, cron: Cron) -> str:
        run = cron.last_run
        return format_html("{} {}", badge(CronRunState(run.state)), moment(run.slot or run.time)) if run else NONE

    @admin.display(description=_("arguments"))
    def masked_args(self, cron: Cron) -> str:
        return json.dumps(masked(cron.function, cron.args), ensure_ascii=False)

    def get_fieldsets(self, request: HttpRequest, obj: Cron | None = None) -> Any:
        args = "args" if self.has_change_permission(request, obj) else "masked_args"
        name = ("name",) if obj is None else ()
        entered = (None, {"fields": (*name, "function", args)})
        schedule = (_("Schedule"), {"fields": ("every", "line", "timezone", "catch_up", "pause_after_failures")})
        return entered, schedule

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {**self._tabs(request), **(extra_context or {})})

    def _tabs(self, request: HttpRequest) -> dict[str, Any]:
        """For the way to the scheduler's other pages, if the user may go there."""
        request.current_app = self.admin_site.name
        tabs = extension.tabs_for(request) if may_view(request) else []
        return {"tabs": tabs, "selected_tab": "admin:django_scheduler_cron_changelist"}

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Cron | None = None,
    ) -> Any:
        form = context["adminform"].form
        runs = form.preview or (next_runs_of(obj) if obj else [])
        zone = (form.data.get("timezone") if form.preview else "") or (obj.timezone if obj else "")
        context |= self._tabs(request) | {
            "next_runs": in_both_zones(runs, zone),
            "zone": zone,
            "viewers_zone": timezone.get_current_timezone_name(),
            "preview_button": PREVIEW,
        }
        if obj is not None:
            context |= {
                "state": badge(obj.state),
                "schedule": self.when(obj),
                "history": history(obj),
                "may_pause": self.has_pause_permission(request),
                "may_run": self.has_run_permission(request) and obj.state is not CronState.REMOVED,
                "is_paused": obj.paused_time is not None,
            }
        return super().render_change_form(request, context, add=add, change=change, form_url=form_url, obj=obj)

    # Who may do what

    def has_change_permission(self, request: HttpRequest, obj: Cron | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.origin != Origin.CODE)

    def has_delete_permission(self, request: HttpRequest, obj: Cron | None = None) -> bool:
        is_in_code = obj is not None and obj.origin == Origin.CODE and obj.removed_time is None
        return super().has_delete_permission(request, obj) and not is_in_code

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return _has_permission(request, "pause_cron")

    def has_run_permission(self, request: HttpRequest) -> bool:
        return _has_permission(request, "run_cron")

    # What is done

    def save_model(self, request: HttpRequest, obj: Cron, form: Any, change: bool) -> None:
        crons = Crons(using=obj._state.db)
        if change:
            cron = crons.update(
                obj.name, schedule=form.schedule, function=form.cleaned_data["function"], args=form.arguments
            )
        else:
            cron = crons.register(obj.name, form.schedule, form.cleaned_data["function"], **form.arguments)
        obj.pk = cron.pk

    def delete_model(self, request: HttpRequest, obj: Cron) -> None:
        Crons(using=obj._state.db).delete(obj.name)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Cron]) -> None:
        for cron in queryset:
            self.delete_model(request, cron)

    @admin.action(description=_("Pause selected crons"), permissions=["pause"])
    def pause_selected(self, request: HttpRequest, queryset: QuerySet[Cron]) -> None:
        for cron in queryset:
            self._steer(request, cron, "pause")

    @admin.action(description=_("Resume selected crons"), permissions=["pause"])
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[Cron]) -> None:
        for cron in queryset:
            self._steer(request, cron, "resume")

    @admin.action(description=_("Run selected crons now"), permissions=["run"])
    def run_selected_now(self, request: HttpRequest, queryset: QuerySet[Cron]) -> None:
        for cron in queryset:
            self._steer(request, cron, "run_now")

    def get_urls(self) -> list[URLPattern]:
        steer = path(
            "<path:object_id>/steer/<slug:verb>/",
            self.admin_site.admin_view(require_POST(self.steer_view)),
            name="django_scheduler_cron_steer",
        )
        return [steer, *super().get_urls()]

    def steer_view(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponseBase:
        """Pause, resume or run one cron: the buttons of its page."""
        may: dict[str, Callable[[HttpRequest], bool]] = {
            "pause": self.has_pause_permission,
            "resume": self.has_pause_permission,
            "run_now": self.has_run_permission,
        }
        if verb not in may:
            raise Http404
        if not may[verb](request):
            raise PermissionDenied
        cron = self.get_object(request, unquote(object_id))
        if cron is None:
            raise Http404
        self._steer(request, cron, verb)
        return self._back_to(request, cron)

    def _steer(self, request: HttpRequest, cron: Cron, verb: str) -> None:
        crons = Crons(using=cron._state.db)
        try:
            match verb:
                case "pause":
                    reason = request.POST.get("reason") or gettext("by %(user)s") % {"user": request.user}
                    crons.pause(cron.name, reason)
                    done = gettext("Paused: %(reason)s") % {"reason": reason}
                case "resume":
                    crons.resume(cron.name)
                    done = gettext("Resumed.")
                case _:
                    done = gettext("Scheduled to run now: %(id)s.") % {"id": crons.run_now(cron.name)}
        except SchedulerError as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        self.log_change(request, cron, done)
        self.message_user(request, format_html("{}: {}", cron.name, done), messages.SUCCESS)

    def _back_to(self, request: HttpRequest, cron: Cron) -> HttpResponse:
        page, arguments = ("change", [cron.pk]) if self.has_view_permission(request, cron) else ("changelist", [])
        name = f"admin:django_scheduler_cron_{page}"
        return HttpResponseRedirect(reverse(name, args=arguments, current_app=self.admin_site.name))


def _has_permission(request: HttpRequest, codename: str) -> bool:
    user: Any = request.user
    return bool(user.has_perm(f"{Cron._meta.app_label}.{codename}"))
