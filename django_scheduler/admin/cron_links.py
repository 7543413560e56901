"""What the pages of scheduled functions tell of crons: their tab, how much they will schedule, and whose run one is.

A site whose admin has no crons, and people who may not see them, are told nothing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin.sites import all_sites
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from django_scheduler.admin.extension import Link, Tab, origin_sources, tabs, upcoming_sources
from django_scheduler.crons import Cron, cron_of, upcoming
from django_scheduler.models import ScheduledFunction


def _may_view_crons(request: HttpRequest) -> bool:
    sites: Any = all_sites
    here = (site for site in sites if site.name == request.current_app and site.is_registered(Cron))
    return any(site.get_model_admin(Cron).has_view_permission(request) for site in here)


def _upcoming(using: str, start: datetime, end: datetime, width: timedelta) -> Sequence[int]:
    return upcoming(start, end, width=width, using=using)


def _cron_of(request: HttpRequest, function: ScheduledFunction) -> Sequence[Link]:
    cron = cron_of(function) if _may_view_crons(request) else None
    if cron is None:
        return []
    url = reverse("admin:django_scheduler_cron_change", args=[cron.pk], current_app=request.current_app)
    return [Link(_("cron"), cron.name, url)]


tabs.append(Tab(_("crons"), "admin:django_scheduler_cron_changelist", _may_view_crons))
upcoming_sources.append(_upcoming)
origin_sources.append(_cron_of)
