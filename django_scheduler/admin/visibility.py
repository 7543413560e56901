"""What somebody sees is what the ``get_queryset`` of the site's admins gives: also as a number, a link or an outcome.

A subclass narrows it. What is asked of the database beside a queryset (the heads of lanes, counts, what waits in
queues, what executors run) knows nothing of that, so it is asked only where a queryset gives everything.
"""

from django.contrib.admin import AdminSite
from django.db.models import QuerySet
from django.http import HttpRequest

from django_scheduler.models import ScheduledFunction


def is_everything(rows: QuerySet[ScheduledFunction]) -> bool:
    """Return whether no row of the table is left out."""
    query = rows.query
    return not (query.where or query.is_sliced or query.combinator or query.distinct_fields)


def visible_functions(site: AdminSite, request: HttpRequest, using: str | None) -> QuerySet[ScheduledFunction]:
    """Return the functions of a database that the site's list of functions shows to somebody."""
    functions = ScheduledFunction.objects.using(using)
    if not site.is_registered(ScheduledFunction):
        return functions.none()
    admin = site.get_model_admin(ScheduledFunction)
    return admin.get_queryset(request).using(using) if admin.has_view_permission(request) else functions.none()
