"""Django's admin shows what is scheduled and what became of it."""

from django_scheduler.admin.crons import CronAdmin
from django_scheduler.admin.scheduled_function import ScheduledFunctionAdmin

__all__ = ["CronAdmin", "ScheduledFunctionAdmin"]
