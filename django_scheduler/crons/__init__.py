"""Recurring functions: never two runs of a slot, never two runs at a time, on a grid that does not drift.

The lower-case names define crons in code, in an app's module ``functions`` or ``crons``::

    from django_scheduler import crons

    crons.interval("expire carts", expire_carts, minutes=10)
    crons.cron("open the shop", "0 9 * * mon-fri", open_shop, timezone="Europe/Berlin")
    crons.daily("send the digest", send_digest, hour=7, shop_id=7)

The capitalised ones are schedules, for ``crons.register`` and for ``ctx.crons``, which registers crons at run time::

    ctx.crons.register(f"digest of {shop}", crons.Daily(hour=7), send_digest, shop_id=shop.pk)
"""

from django_scheduler.crons.definitions import cron, daily, hourly, interval, monthly, register, weekly
from django_scheduler.crons.schedules import CronLine, Daily, Hourly, Interval, Monthly, Schedule, Weekly

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
