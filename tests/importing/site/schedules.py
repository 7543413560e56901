"""What django-q2 may have on record."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django_q.models import Schedule

from django_scheduler.importing.django_q2 import _schedule_of

NUMBER = 30


def compared() -> Iterator[dict[str, Any]]:
    """Yield schedules, with our own in their place, and the next runs of both, over the nights when clocks change."""
    for kind, minutes, start in [
        (Schedule.MINUTES, 20, datetime(2026, 3, 28, 23, 10, tzinfo=UTC)),
        (Schedule.HOURLY, None, datetime(2026, 3, 28, 23, 10, tzinfo=UTC)),
        (Schedule.DAILY, None, datetime(2026, 3, 20, 7, 30, tzinfo=UTC)),
        (Schedule.DAILY, None, datetime(2026, 10, 20, 22, 15, tzinfo=UTC)),
        (Schedule.WEEKLY, None, datetime(2026, 3, 1, 22, 30, tzinfo=UTC)),
        (Schedule.WEEKLY, None, datetime(2026, 3, 1, 23, 30, tzinfo=UTC)),  # Monday in Berlin
        (Schedule.MONTHLY, None, datetime(2026, 1, 28, 7, tzinfo=UTC)),
        (Schedule.BIMONTHLY, None, datetime(2026, 2, 15, 7, tzinfo=UTC)),
        (Schedule.BIMONTHLY, None, datetime(2026, 1, 30, 7, tzinfo=UTC)),
        (Schedule.QUARTERLY, None, datetime(2026, 2, 28, 7, tzinfo=UTC)),
        (Schedule.YEARLY, None, datetime(2026, 12, 31, 7, tzinfo=UTC)),
    ]:
        row = Schedule(schedule_type=kind, minutes=minutes, next_run=start)
        ours: Any = _schedule_of(row, start)
        runs, slots, run, slot = [], [], start, start
        for _ in range(NUMBER):
            run = row.calculate_next_run(run)
            slot = ours.next_after(slot, anchor=start)
            runs.append(run.isoformat())
            slots.append(slot.isoformat())
        yield {"kind": f"{kind} {start}", "theirs": runs, "ours": slots}


def create(now: datetime) -> None:
    day, carts, digest = timedelta(days=1), "shop.tasks.expire_carts", "shop.tasks.send_digest"
    soon = now + timedelta(hours=1)  # 15:00 in Berlin
    rows: list[dict[str, Any]] = [
        {"name": "once", "func": digest, "kwargs": "shop_id=7, subject='a, b'", "next_run": now + day},
        {"name": "once, past", "func": carts, "next_run": now - day},
        {"name": "once, done", "func": carts, "next_run": now - day, "repeats": 0},
        {"name": "last time", "func": carts, "schedule_type": "D", "next_run": soon, "repeats": 1},
        {"name": "three times", "func": carts, "schedule_type": "D", "next_run": soon, "repeats": 3},
        {"name": "minutes", "func": carts, "schedule_type": "I", "minutes": 90, "next_run": soon},
        {"name": "hourly", "func": carts, "schedule_type": "H", "next_run": soon},
        {"name": "daily", "func": digest, "schedule_type": "D", "next_run": soon, "kwargs": "{'shop_id': 7}"},
        {"name": "weekly", "func": "shop.tasks.archive_order", "schedule_type": "W", "next_run": soon, "args": "7"},
        {"name": "biweekly", "func": carts, "schedule_type": "BW", "next_run": soon},
        {"name": "monthly", "func": carts, "schedule_type": "M", "next_run": soon},
        {"name": "monthly, 30th", "func": carts, "schedule_type": "M", "next_run": now + 29 * day},
        {"name": "quarterly", "func": carts, "schedule_type": "Q", "next_run": soon},
        {"name": "yearly", "func": carts, "schedule_type": "Y", "next_run": soon},
        {"name": "cron", "func": carts, "schedule_type": "C", "cron": "30 9 * * mon-fri"},
        {"name": "nickname", "func": carts, "schedule_type": "C", "cron": "@daily"},
        {"name": "either day", "func": carts, "schedule_type": "C", "cron": "0 9 13 * fri"},
        {"name": "star and day", "func": carts, "schedule_type": "C", "cron": "0 9 */2 * fri"},
        {"name": "with seconds", "func": carts, "schedule_type": "C", "cron": "0 9 * * * 30"},
        {"name": "later", "func": carts, "schedule_type": "D", "next_run": now + 9 * day},
        {"name": "hooked", "func": carts, "schedule_type": "D", "next_run": soon, "hook": "shop.hooks.done"},
        {"name": "in a cluster", "func": carts, "schedule_type": "D", "next_run": soon, "cluster": "bulk"},
        {
            "name": "optional",
            "func": digest,
            "schedule_type": "D",
            "next_run": soon,
            "kwargs": "shop_id=7, q_options={'timeout': 30}",
        },
        {"name": "dated", "func": carts, "schedule_type": "D", "next_run": soon, "intended_date_kwarg": "date"},
        {"name": "evil", "func": digest, "schedule_type": "D", "next_run": soon, "kwargs": "shop_id=print('evil')"},
        {"name": "evil too", "func": digest, "schedule_type": "D", "next_run": soon, "kwargs": "a=1) or dict(b=2"},
        {"name": "evil three", "func": carts, "schedule_type": "D", "next_run": soon, "args": "exit(3)"},
        {"name": "never", "func": carts, "schedule_type": "D", "next_run": None},
        {"name": None, "func": carts, "schedule_type": "D", "next_run": soon},
        {"name": "twice", "func": carts, "schedule_type": "D", "next_run": soon},
        {"name": "twice", "func": carts, "schedule_type": "H", "next_run": soon},
        {"name": "case", "func": carts, "schedule_type": "D", "next_run": soon},
        {"name": "Case", "func": carts, "schedule_type": "H", "next_run": soon},
        {"name": "case 33", "func": carts, "schedule_type": "D", "next_run": soon},
    ]
    for row in rows:
        Schedule.objects.create(**row)
