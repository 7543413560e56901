"""A schedule in words."""

from datetime import timedelta

from cronsim import CronSim
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from django_scheduler.crons.cron_lines import CronLine
from django_scheduler.crons.intervals import Interval
from django_scheduler.crons.models import Cron
from django_scheduler.errors import InvalidSchedule

DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


def in_words(cron: Cron) -> str:
    """As in "every 10 minutes", or "At 09:00 on Monday through Friday"; a cron line is described in English."""
    try:
        schedule = cron.schedule
    except InvalidSchedule:
        return cron.line
    if isinstance(schedule, Interval):
        return _every(schedule.every)
    assert isinstance(schedule, CronLine)
    return CronSim(schedule.line, timezone.now()).explain()


def _every(every: timedelta) -> str:
    if every % DAY == timedelta(0):
        return ngettext("every %(count)d day", "every %(count)d days", every // DAY) % {"count": every // DAY}
    if every % HOUR == timedelta(0):
        return ngettext("every %(count)d hour", "every %(count)d hours", every // HOUR) % {"count": every // HOUR}
    if every % MINUTE == timedelta(0):
        return ngettext("every %(count)d minute", "every %(count)d minutes", every // MINUTE) % {
            "count": every // MINUTE
        }
    if every % SECOND == timedelta(0):
        return ngettext("every %(count)d second", "every %(count)d seconds", every // SECOND) % {
            "count": every // SECOND
        }
    return gettext("every %(length)s") % {"length": every}
