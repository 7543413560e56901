"""The pages of functions and the overview are pages of a ``SchedulerAdmin``: what they have in common."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import router
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from django_scheduler.admin.actions import may_view
from django_scheduler.admin.crons import tabs_of_crons
from django_scheduler.databases import Database, database_for
from django_scheduler.models import ScheduledFunction

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[ScheduledFunction]
else:
    ModelAdmin = admin.ModelAdmin


class SchedulerAdmin(ModelAdmin):
    """Holds what the pages of functions and the overview have in common."""

    #: The alias of the database whose functions are shown; ``None``: what the routers say.
    using: str | None = None

    @property
    def database(self) -> Database:
        return database_for(self.using or router.db_for_write(ScheduledFunction))

    def get_queryset(self, request: HttpRequest) -> Any:
        return ScheduledFunction.objects.using(self.database.using)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_view(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_view(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def require_view(self, request: HttpRequest) -> None:
        """Raise ``PermissionDenied`` unless the request only looks, and the user may."""
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request):
            raise PermissionDenied

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return False  # the filters of the list are its own

    def url(self, page: str, *arguments: object) -> str:
        """Return the address of a page such as ``overview_changelist`` in this admin site."""
        return reverse(f"admin:django_scheduler_{page}", args=arguments, current_app=self.admin_site.name)

    def render(self, request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
        """Return a page; or, if the page itself asks for that, what is new of it."""
        request.current_app = self.admin_site.name  # for the template's {% url %}
        context = {
            **self.admin_site.each_context(request),
            "opts": ScheduledFunction._meta,
            "tabs": tabs_of_crons(self.admin_site, request),
            "base": f"admin/django_scheduler/{'live' if 'live' in request.GET else 'page'}.html",
            **context,
        }
        return TemplateResponse(request, f"admin/django_scheduler/{template}.html", context, status=status)
