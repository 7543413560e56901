"""The list and the detail page of scheduled functions: read-only."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from django_scheduler.models import ScheduledFunction

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[ScheduledFunction]
else:
    ModelAdmin = admin.ModelAdmin


@admin.register(ScheduledFunction)
class ScheduledFunctionAdmin(ModelAdmin):
    list_display = (
        "id",
        "name",
        "kind",
        "state",
        "queue",
        "scheduled_time",
        "started_time",
        "completed_time",
        "attempts",
    )
    list_filter = ("state", "kind", "failure", "queue")
    search_fields = ("name__startswith",)
    ordering = ("-id",)
    # Counting a table of millions would take longer than showing a page of it.
    show_full_result_count = False
    raw_id_fields = ("parent",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
