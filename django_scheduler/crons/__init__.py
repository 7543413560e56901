"""Crons: recurring functions. Two runs of a cron never overlap, no slot runs twice, and its grid does not drift.

Define crons in code, in the module ``functions`` or ``crons`` of an app::

    from django_scheduler import crons

    crons.register("expire carts", crons.Interval(minutes=10), expire_carts)
    crons.register("open the shop", crons.CronLine("0 9 * * mon-fri", timezone="Europe/Berlin"), open_shop)
    crons.register("send the digest", crons.Daily(hour=7), send_digest, shop_id=7)

``ctx.crons.register`` takes the same, at run time: see ``docs/crons.md``.

The files: ``schedules.py``, ``cron_lines.py`` with ``line_syntax.py``, and ``wall_clock.py`` compute slots,
``definitions.py`` has what code defines, ``reconcile.py`` puts that on record, ``models.py`` is the record,
``run_time.py`` is ``ctx.crons``.
``firing.py`` decides about a due slot (``executor/crons.py`` calls it), ``catch_up.py`` says which of several slots
runs, ``history.py`` records how it went, and ``preview.py`` shows what is ahead. Other
packages of ours import some of these modules from here; users need none of them.
"""

from django_scheduler.crons import definitions, firing, history, line_syntax, reconcile
from django_scheduler.crons.cron_lines import CronLine, Daily, Hourly, Monthly, Weekly
from django_scheduler.crons.definitions import register
from django_scheduler.crons.history import cron_of, functions_of
from django_scheduler.crons.models import Cron, CronRun, CronRunState, CronState, Origin
from django_scheduler.crons.preview import in_words, next_runs, upcoming
from django_scheduler.crons.run_time import Crons
from django_scheduler.crons.schedules import Interval, Schedule

__all__ = [
    "Cron",
    "CronLine",
    "CronRun",
    "CronRunState",
    "CronState",
    "Crons",
    "Daily",
    "Hourly",
    "Interval",
    "Monthly",
    "Origin",
    "Schedule",
    "Weekly",
    "cron_of",
    "definitions",
    "firing",
    "functions_of",
    "history",
    "in_words",
    "line_syntax",
    "next_runs",
    "reconcile",
    "register",
    "upcoming",
]
