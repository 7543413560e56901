"""What the admin of django-celery-beat may have made."""

import json
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule

CARTS, DIGEST = "shop.tasks.expire_carts", "shop.tasks.send_digest"


def create(now: datetime) -> None:
    day, minute = timedelta(days=1), timedelta(minutes=1)

    def crontab(zone: str = "UTC", **fields: str) -> dict[str, Any]:
        return {"crontab": CrontabSchedule.objects.create(timezone=zone, **fields)}

    def every(number: int, period: str) -> dict[str, Any]:
        return {"interval": IntervalSchedule.objects.create(every=number, period=period)}

    def clocked(time: datetime) -> dict[str, Any]:
        return {"clocked": ClockedSchedule.objects.create(clocked_time=time), "one_off": True}

    seven = {"kwargs": json.dumps({"shop_id": 7})}
    nine = {"minute": "0", "hour": "9"}
    for name, task, fields in [
        ("digest", DIGEST, {**crontab("Europe/Berlin", minute="0", hour="7", day_of_week="1-5"), **seven}),
        ("first monday", CARTS, crontab(**nine, day_of_month="1-7", day_of_week="mon")),
        ("friday 13th", CARTS, crontab(**nine, day_of_month="13", day_of_week="5")),
        ("sunday as 7", CARTS, crontab(**nine, day_of_week="7")),
        ("ten minutes", CARTS, {**every(10, "minutes"), "last_run_at": now - 3 * minute}),
        ("two days", CARTS, every(2, "days")),
        ("disabled", CARTS, {**crontab(**nine), "enabled": False}),
        ("too fast", CARTS, every(100, "microseconds")),
        ("sunset", CARTS, {"solar": SolarSchedule.objects.create(event="sunset", latitude=52, longitude=13)}),
        ("clocked", DIGEST, {**clocked(now + day), **seven}),
        ("clocked, past", DIGEST, {**clocked(now - day), **seven}),
        ("clocked, in time", CARTS, {**clocked(now + day), "expires": now + 2 * day}),
        ("clocked, done", DIGEST, {**clocked(now - day), **seven, "enabled": False}),
        ("once at nine", CARTS, {**crontab(**nine), "one_off": True}),
        ("once later", CARTS, {**crontab(**nine), "one_off": True, "start_time": now + 3 * day}),
        ("once, done", CARTS, {**crontab(**nine), "one_off": True, "total_run_count": 1}),
        ("ended", CARTS, {**every(1, "days"), "expires": now - day}),
        ("ending", CARTS, {**every(1, "days"), "expires": now + day}),
        ("beginning", CARTS, {**every(1, "days"), "start_time": now + day}),
        ("begun", CARTS, {**every(1, "days"), "start_time": now - day}),
        ("celery.backend_cleanup", "celery.backend_cleanup", crontab(minute="0", hour="4")),
        ("unknown", "shop.tasks.send_digests", every(1, "days")),
        ("wrong arguments", DIGEST, every(1, "days")),
        ("no list", CARTS, {**every(1, "days"), "args": "{}"}),
        ("no json", CARTS, {**every(1, "days"), "args": "[7"}),
        ("no end", CARTS, {**every(1, "days"), "args": "[" * 100_000}),
        ("on Mars", CARTS, crontab("Africa/Accra", **nine)),
        (
            "routed",
            DIGEST,
            {
                **every(1, "hours"),
                **seven,
                "queue": "bulk",
                "priority": 3,
                "expire_seconds": 60,
                "headers": json.dumps({"tenant": 7}),
                "routing_key": "shop.#",
            },
        ),
        (
            "typed",
            DIGEST,
            {**every(1, "hours"), "args": "[]", "kwargs": json.dumps({"shop_id": 7, "subject": 'a "b"'})},
        ),
    ]:
        PeriodicTask.objects.create(name=name, task=task, **fields)
    # A time zone that this host does not know. It is stored as text.
    table = CrontabSchedule._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET timezone = 'Mars/Olympus' WHERE timezone = 'Africa/Accra'")
