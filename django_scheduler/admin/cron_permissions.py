"""Who may do what with crons in the admin, and what an address may ask of their list.

* Whoever chooses a function and its arguments can have that function run. So registering a cron, and changing these,
  takes the permission to run crons too. That, and the one to pause them, count only for those who may see the cron.
* A function that is declared with ``admin=False`` is neither chosen nor run here.
* An address compares a column with a value, and no arguments: otherwise a secret among them could be guessed.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from django_scheduler.admin.actions import is_for_people, may
from django_scheduler.crons import Cron, Origin
from django_scheduler.values import is_plain_text

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Cron]
else:
    ModelAdmin = admin.ModelAdmin

#: The name of the address of a cron's page.
CHANGE = "admin:django_scheduler_cron_change"

#: The columns that an address may compare with a value, besides those of the filters.
COLUMNS = {"id", "pk", "name", "function", "origin"}

#: How an address may compare: as the filters of Django's that a subclass may have do it. None takes a pattern.
COMPARISONS = {"", "exact", "isnull", "in", "gt", "gte", "lt", "lte", "year", "month", "day"}

#: A search for crons is no longer than this, in characters.
LONGEST_SEARCH = 200

#: What no address may go through, on whatever way it is reached from a cron.
KEPT_FROM_ADDRESSES = {"args", "result", "error", "traceback"}


class CronPermissions(ModelAdmin):
    """Is the part of ``CronAdmin`` that decides who may do what."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and self.has_run_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Cron | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.origin != Origin.CODE)

    def has_delete_permission(self, request: HttpRequest, obj: Cron | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj is not None and _is_in_code(obj))

    def has_pause_permission(self, request: HttpRequest, obj: Cron | None = None) -> bool:
        return self.has_view_permission(request, obj) and may(request, "pause_cron")

    def has_run_permission(self, request: HttpRequest, obj: Cron | None = None) -> bool:
        """Return whether somebody may have a cron's function run: now, or with arguments of their own."""
        is_kept_out = obj is not None and not is_for_people(obj.function)
        return self.has_view_permission(request, obj) and may(request, "run_cron") and not is_kept_out

    def may_choose_function(self, request: HttpRequest, obj: Cron | None) -> bool:
        """Return whether somebody may enter the function and the arguments of a cron, or of a new one."""
        if obj is None:
            return self.has_add_permission(request)
        return self.has_change_permission(request, obj) and self.has_run_permission(request, obj)

    def back_to(self, request: HttpRequest, cron: Cron) -> HttpResponse:
        """Lead to the page of a cron; to the admin's first page, who may not see that."""
        name, arguments = (CHANGE, [cron.pk]) if self.has_view_permission(request, cron) else ("admin:index", [])
        return HttpResponseRedirect(reverse(name, args=arguments, current_app=self.admin_site.name))

    # Addresses

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        names = lookup.split("__")
        if KEPT_FROM_ADDRESSES.intersection(names):
            return False
        if names[0] in COLUMNS:
            return names[1:] in ([], ["exact"])
        return any(_is_of_filter(lookup, each) for each in self._names_of_filters(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Cron], search_term: str
    ) -> tuple[QuerySet[Cron], bool]:
        # Other pages search here too, for their lists of choices, whatever is asked of them.
        if len(search_term) > LONGEST_SEARCH or not is_plain_text(search_term):
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)

    def _names_of_filters(self, request: HttpRequest | None) -> Iterable[str]:
        filters = self.list_filter if request is None else self.get_list_filter(request)
        names: list[Any] = [self.date_hierarchy]
        for each in filters:
            name = each[0] if isinstance(each, list | tuple) else each
            names.append(name if isinstance(name, str) else getattr(name, "parameter_name", None))
        return filter(None, names)

    # What the code defines is not deleted here, and the pages say why

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        cron = self.get_object(request, unquote(object_id))
        if cron is not None and _is_in_code(cron) and self.has_delete_permission(request):
            self.message_user(request, _why_it_stays(cron), messages.ERROR)
            return self.back_to(request, cron)
        return super().delete_view(request, object_id, extra_context)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        to_delete, counts, perms_needed, protected = super().get_deleted_objects(objs, request)
        in_code = [cron for cron in objs if _is_in_code(cron)]
        if in_code and self.has_delete_permission(request):
            perms_needed.discard(self.opts.verbose_name)
        return to_delete, counts, perms_needed, [*protected, *map(_why_it_stays, in_code)]


def _is_of_filter(lookup: str, name: str) -> bool:
    return lookup == name or (lookup.startswith(f"{name}__") and lookup[len(name) + 2 :] in COMPARISONS)


def _is_in_code(cron: Cron) -> bool:
    return cron.origin == Origin.CODE and cron.removed_time is None


def _why_it_stays(cron: Cron) -> str:
    return _(
        "%(name)s is defined in code, so it cannot be deleted here: take it out of the code. To stop it meanwhile,"
        " pause it."
    ) % {"name": cron.name}
