"""The list and the detail page of scheduled functions: to be read, not to be written."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from django_scheduler.models import ScheduledFunction

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[ScheduledFunction]
else:
    ModelAdmin = admin.ModelAdmin


@admin.register(ScheduledFunction)
class ScheduledFunctionAdmin(ModelAdmin):
    list_display = ("id", "name", "kind", "state", "why", "queue", "due", "completed", "attempts")
    list_display_links = ("id", "name")
    list_filter = ("state", "kind", "failure")
    search_fields = ("=id", "^name")
    search_help_text = _("The id, or how the function's name begins (app_label:name).")
    ordering = ("-id",)
    # Counting a table of millions would take longer than showing a page of it.
    show_full_result_count = False
    fieldsets = (
        (None, {"fields": ("name", "kind", "state", "failure", "args", "result")}),
        (_("Times"), {"fields": ("scheduled_time", "due_time", "creation_time", "started_time", "completed_time")}),
        (_("Execution"), {"fields": ("queue", "priority", "attempts", "worker", "parent")}),
        (_("Error"), {"fields": ("error", "traceback")}),
    )

    @admin.display(description=_("failure"), ordering="failure")
    def why(self, function: ScheduledFunction) -> str:
        return function.failure

    @admin.display(description=_("due"), ordering="due_time")
    def due(self, function: ScheduledFunction) -> str:
        return _to_the_second(function.due_time)

    @admin.display(description=_("completed"), ordering="completed_time")
    def completed(self, function: ScheduledFunction) -> str:
        return _to_the_second(function.completed_time)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _to_the_second(time: datetime | None) -> str:
    """Django's own formats leave the seconds out, and here they are what one looks for."""
    return date_format(localtime(time), "Y-m-d H:i:s") if time else "-"
