"""The admin shows crons, when each runs next and how it went; they are paused, resumed, run and registered there too.

The page of a cron shows its next runs in its own zone and in the viewer's, and what became of its latest slots. The
pages of functions link to crons, on a site that has them in its admin, for those who may see them.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import admin, messages
from django.contrib.admin import AdminSite
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_scheduler.admin.actions import may_view
from django_scheduler.admin.cron_form import PREVIEW, PREVIEWED_RUNS, CronForm
from django_scheduler.admin.cron_history import badge, history, state_of
from django_scheduler.admin.cron_permissions import CHANGE, CronPermissions
from django_scheduler.admin.readable import breakable, visible
from django_scheduler.admin.requests import answer_to_no_post, is_understood, require_whole_characters
from django_scheduler.admin.times import NONE, moment, to_the_second
from django_scheduler.admin.visibility import visible_functions
from django_scheduler.crons import Cron, Crons, CronState, in_words, next_runs
from django_scheduler.errors import InvalidSchedule, SchedulerError
from django_scheduler.masking import masked, masked_text
from django_scheduler.middleware import serving
from django_scheduler.models import ScheduledFunction

#: The name of the address of their list.
LIST = "admin:django_scheduler_cron_changelist"


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
            case None:
                return queryset
        return queryset.none()


@admin.register(Cron)
class CronAdmin(CronPermissions):
    form = CronForm
    change_list_template = "admin/django_scheduler/cron/change_list.html"
    change_form_template = "admin/django_scheduler/cron/change_form.html"
    list_display = ("name", "state_badge", "when", "next_run", "last_outcome", "called", "origin")
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
        if run is None:
            return NONE
        state = state_of(run, getattr(cron, "function_state", None))
        return format_html("{} {}", badge(state), moment(run.slot or run.time))

    @admin.display(description=_("function"), ordering="function")
    def called(self, cron: Cron) -> str:
        return breakable(visible(cron.function))

    @admin.display(description=_("arguments"))
    def masked_args(self, cron: Cron) -> str:
        return json.dumps(masked(cron.function, cron.args), ensure_ascii=False)

    def get_fieldsets(self, request: HttpRequest, obj: Cron | None = None) -> Any:
        args = "args" if self.may_choose_function(request, obj) else "masked_args"
        name = ("name",) if obj is None else ()
        entered = (None, {"fields": (*name, "function", args)})
        schedule = (_("Schedule"), {"fields": ("every", "line", "timezone", "catch_up", "pause_after_failures")})
        return entered, schedule

    def get_readonly_fields(self, request: HttpRequest, obj: Cron | None = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if self.may_choose_function(request, obj) else (*fields, "function", "args", "masked_args")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Cron]:
        return super().get_queryset(request).annotate(function_state=F("last_run__function__state"))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require_whole_characters(request)
        if not is_understood(request):
            self.message_user(request, _("This filter is not understood."), messages.WARNING)
            return HttpResponseRedirect(request.path)
        parameters = request.GET.copy()
        is_live = parameters.pop("live", None) is not None
        request.GET = QueryDict(parameters.urlencode())  # for Django, "live" would be a filter that is not understood
        page = super().changelist_view(request, {**self._tabs(request), **(extra_context or {})})
        return _live(page, "live_list") if is_live else page

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        page = super().change_view(request, object_id, form_url, extra_context)
        return _live(page, "live") if "live" in request.GET else page

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        require_whole_characters(request)
        try:
            return super().changeform_view(request, *args, **kwargs)
        except SchedulerError as error:  # somebody has deleted it meanwhile, or registered one of this name
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(reverse(LIST, current_app=self.admin_site.name))

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        form, cron = context["adminform"].form, kwargs["obj"]
        runs = form.preview or (_next_runs(cron) if cron else [])
        zone = (form.data.get("timezone") if form.preview else "") or (cron.timezone if cron else "")
        context |= self._tabs(request) | {
            "next_runs": _in_both_zones(runs, zone),
            "zone": zone,
            "viewers_zone": timezone.get_current_timezone_name(),
            "preview_button": PREVIEW,
            "is_preview": bool(form.preview),
        }
        if cron is not None:
            context |= {
                "state": badge(cron.state),
                "schedule": self.when(cron),
                "history": history(cron, visible_functions(self.admin_site, request, cron._state.db)),
                "may_pause": self.has_pause_permission(request, cron),
                "may_run": self.has_run_permission(request, cron) and cron.state is not CronState.REMOVED,
                "is_paused": cron.paused_time is not None,
                "paused_reason": masked_text(cron.function, cron.paused_reason, args=cron.args),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def _tabs(self, request: HttpRequest) -> dict[str, Any]:
        """Return the way to the scheduler's other pages, if the user may go there."""
        request.current_app = self.admin_site.name
        return {"tabs": tabs_of_crons(self.admin_site, request) if may_view(request) else [], "selected_tab": LIST}

    # What is done

    def save_model(self, request: HttpRequest, obj: Cron, form: Any, change: bool) -> None:
        crons = Crons(using=obj._state.db)
        if not change:
            cron = crons.register(obj.name, form.schedule, form.cleaned_data["function"], **form.arguments)
        elif form.has_other_call:
            function = form.cleaned_data["function"]
            cron = crons.update(obj.name, schedule=form.schedule, function=function, args=form.arguments)
        else:
            cron = crons.update(obj.name, schedule=form.schedule)
        obj.pk = cron.pk

    def delete_model(self, request: HttpRequest, obj: Cron) -> None:
        Crons(using=obj._state.db).delete(obj.name)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Cron]) -> None:
        for cron in queryset:
            self.delete_model(request, cron)

    @admin.action(description=_("Pause selected crons"), permissions=["pause"])
    def pause_selected(self, request: HttpRequest, queryset: QuerySet[Cron]) -> None:
        self._act(request, queryset, "pause")

    @admin.action(description=_("Resume selected crons"), permissions=["pause"])
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[Cron]) -> None:
        self._act(request, queryset, "resume")

    @admin.action(description=_("Run selected crons now"), permissions=["run"])
    def run_selected_now(self, request: HttpRequest, queryset: QuerySet[Cron]) -> None:
        self._act(request, queryset, "run_now")

    def get_urls(self) -> list[URLPattern]:
        act = self.admin_site.admin_view(self.act_view)
        return [
            path("<path:object_id>/act/<slug:verb>/", act, name="django_scheduler_cron_act"),
            *super().get_urls(),
        ]

    def act_view(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponseBase:
        """Pause, resume or run one cron: the buttons of its page."""
        if verb not in ("pause", "resume", "run_now"):
            raise Http404
        cron = self.get_object(request, unquote(object_id))
        if not self._may_act(request, cron, verb):
            raise PermissionDenied
        if cron is None:
            raise Http404
        if request.method != "POST":
            return answer_to_no_post(request, reverse(CHANGE, args=[cron.pk], current_app=self.admin_site.name))
        self._act(request, [cron], verb)
        return self.back_to(request, cron)

    def _may_act(self, request: HttpRequest, cron: Cron | None, verb: str) -> bool:
        is_permitted = self.has_run_permission if verb == "run_now" else self.has_pause_permission
        return is_permitted(request, cron)

    def _act(self, request: HttpRequest, crons: Iterable[Cron], verb: str) -> None:
        for cron in crons:
            if not self._may_act(request, cron, verb):
                refusal = _("%(name)s: you may not do this, or its function is kept out of the admin (admin=False).")
                self.message_user(request, refusal % {"name": cron}, messages.ERROR)
                continue
            try:
                done = _acted(request, cron, verb)
            except SchedulerError as error:
                self.message_user(request, _about(cron, error), messages.ERROR)
            else:
                self.log_change(request, cron, done)
                self.message_user(request, _about(cron, done), messages.SUCCESS)


def _about(cron: Cron, message: object) -> str:
    # A name does not come first: the admin writes the first letter of a message as a capital.
    return gettext("Cron %(name)s: %(message)s") % {"name": visible(cron.name), "message": message}


def _acted(request: HttpRequest, cron: Cron, verb: str) -> str:
    """Pause, resume or run a cron, and return what has been done. Raises ``SchedulerError`` if it cannot be."""
    crons = Crons(using=cron._state.db)
    match verb:
        case "pause":
            reason = visible(request.POST.get("reason", "")) or gettext("by %(user)s") % {"user": request.user}
            crons.pause(cron.name, reason)
            return gettext("Paused: %(reason)s") % {"reason": reason}
        case "resume":
            crons.resume(cron.name)
            return gettext("Resumed.")
        case _:
            with serving(request):
                return gettext("Scheduled to run now: %(id)s.") % {"id": crons.run_now(cron.name)}


# The page of a cron


def _next_runs(cron: Cron) -> list[datetime]:
    if cron.next_time is None:
        return []
    try:
        later = next_runs(cron.schedule, cron.next_time, PREVIEWED_RUNS - 1, anchor=cron.anchor)
    except InvalidSchedule:
        return []
    return [cron.next_time, *later]


def _in_both_zones(runs: list[datetime], zone: str) -> list[tuple[str, str]]:
    """Return times in a zone, if there is one of that name, and in the viewer's."""
    try:
        crons_zone = ZoneInfo(zone) if zone else None
    except (LookupError, ValueError, OSError):
        crons_zone = None
    return [(to_the_second(run, crons_zone), to_the_second(run)) for run in runs]


def _live(page: HttpResponse, template: str) -> HttpResponse:
    """Return what is new of a page, for the page itself."""
    if isinstance(page, TemplateResponse):
        page.template_name = f"admin/django_scheduler/cron/{template}.html"
    return page


# What other pages tell of crons


def tabs_of_crons(site: AdminSite, request: HttpRequest) -> list[dict[str, Any]]:
    """Return the tab that leads to the list of crons, if the user may see them."""
    return [{"label": _("crons"), "url_name": LIST}] if _may_view_crons(site, request) else []


def links_to_cron(site: AdminSite, request: HttpRequest, function: ScheduledFunction) -> list[dict[str, Any]]:
    """Return the link to the cron that scheduled a function, if one did and the user may see it."""
    if not _may_view_crons(site, request):
        return []
    cron = (
        site.get_model_admin(Cron)
        .get_queryset(request)
        .using(function._state.db)
        .filter(runs__function=function)
        .first()
    )
    if cron is None:
        return []
    return [{"label": _("cron"), "text": cron.name, "url": reverse(CHANGE, args=[cron.pk], current_app=site.name)}]


def _may_view_crons(site: AdminSite, request: HttpRequest) -> bool:
    return site.is_registered(Cron) and site.get_model_admin(Cron).has_view_permission(request)
