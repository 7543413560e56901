"""Recurring functions: never two runs of a slot, never two runs at a time, on a grid that does not drift.

The lower-case names define crons in code, in an app's module ``functions`` or ``crons``::

    from django_scheduler import crons

    crons.interval("expire carts", expire_carts, minutes=10)
    crons.cron("open the shop", "0 9 * * mon-fri", open_shop, timezone="Europe/Berlin")
    crons.daily("send the digest", send_digest, hour=7, shop_id=7)

The capitalised ones are schedules, for ``crons.register`` and for ``ctx.crons``, which registers crons at run time::

    ctx.crons.register(f"digest of {shop}", crons.Daily(hour=7), send_digest, shop_id=shop.pk)

Its rooms:

* When: ``schedules.py`` is what all schedules are, ``intervals.py``, ``cron_lines.py`` and ``named_lines.py`` compute
  the next slot, ``clock_changes.py`` knows what a zone's clocks do, ``description.py`` says a schedule in words,
  ``columns.py`` stores it.
* Which: code calls ``define.py``, ``definitions.py`` has what it defined, ``checks.py`` says what is wrong with them,
  ``reconcile.py`` says which version of the code is in force, ``changes.py`` puts its crons on record; ``run_time.py``
  is ``ctx.crons``; ``names.py`` says what a name may be.
* What becomes of a slot: ``firing.py`` schedules its function, ``catch_up.py`` decides which of several runs,
  ``locking.py`` lets only one process decide, ``history.py`` has what came of it, ``calendar.py`` what is ahead.
* ``models.py`` has the tables. Who calls ``firing.py`` is ``executor/crons.py``.
"""

from django_scheduler.crons.cron_lines import LONGEST_LINE, CronLine, Daily, Hourly, Monthly, Weekly
from django_scheduler.crons.definitions import (
    Definition,
    cron,
    daily,
    defined_crons,
    hourly,
    interval,
    monthly,
    problem_with_name,
    register,
    weekly,
)
from django_scheduler.crons.firing import fire
from django_scheduler.crons.history import cron_of, delete_expired_history, settle_finished_runs
from django_scheduler.crons.models import Cron, CronRun, CronRunState, CronState, Origin, in_words
from django_scheduler.crons.preview import next_runs, upcoming
from django_scheduler.crons.reconcile import Changes, adopt, impose, is_in_force, sign
from django_scheduler.crons.run_time import Crons
from django_scheduler.crons.schedules import Interval, Schedule

__all__ = [
    "LONGEST_LINE",
    "Changes",
    "Cron",
    "CronLine",
    "CronRun",
    "CronRunState",
    "CronState",
    "Crons",
    "Daily",
    "Definition",
    "Hourly",
    "Interval",
    "Monthly",
    "Origin",
    "Schedule",
    "Weekly",
    "adopt",
    "cron",
    "cron_of",
    "daily",
    "defined_crons",
    "delete_expired_history",
    "fire",
    "hourly",
    "impose",
    "in_words",
    "interval",
    "is_in_force",
    "monthly",
    "next_runs",
    "problem_with_name",
    "register",
    "settle_finished_runs",
    "sign",
    "upcoming",
    "weekly",
]
