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

from django_scheduler.crons.cron_lines import CronLine
from django_scheduler.crons.define import cron, daily, hourly, interval, monthly, register, weekly
from django_scheduler.crons.intervals import Interval
from django_scheduler.crons.named_lines import Daily, Hourly, Monthly, Weekly
from django_scheduler.crons.schedules import Schedule

__all__ = [
    "CronLine",
    "Daily",
    "Hourly",
    "Interval",
    "Monthly",
    "Schedule",
    "Weekly",
    "cron",
    "daily",
    "hourly",
    "interval",
    "monthly",
    "register",
    "weekly",
]
