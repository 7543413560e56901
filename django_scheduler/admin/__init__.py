"""Django's admin shows what is scheduled and what became of it, and lets those who may intervene."""

from django_scheduler.admin import cron_links  # noqa: F401  (adds to the pages of functions)
from django_scheduler.admin.crons import CronAdmin
from django_scheduler.admin.overview import OverviewAdmin
from django_scheduler.admin.scheduled_function import ScheduledFunctionAdmin

__all__ = ["CronAdmin", "OverviewAdmin", "ScheduledFunctionAdmin"]
