"""The site's Celery app, in whose configuration is what beat runs."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from celery import Celery
from celery.beat import BeatLazyFunc
from celery.schedules import crontab, schedule

CARTS, DIGEST = "shop.tasks.expire_carts", "shop.tasks.send_digest"


def now_in_tokyo() -> datetime:
    return datetime.now(ZoneInfo("Asia/Tokyo"))


def now_in_berlin() -> datetime:
    return datetime.now(ZoneInfo("Europe/Berlin"))


app = Celery("shop", set_as_current=False)
app.conf.timezone = "Europe/Berlin"
app.conf.beat_schedule = {
    "digest": {
        "task": DIGEST,
        "schedule": crontab(minute=0, hour=7, day_of_week="mon-fri"),
        "kwargs": {"shop_id": 7},
        "options": {"queue": "email", "expires": 3600},
    },
    "by position": {"task": "shop.tasks.archive_order", "schedule": crontab(minute="*/20"), "args": (7, "new")},
    "seconds": {"task": CARTS, "schedule": 30.0},
    "a delta": {"task": CARTS, "schedule": timedelta(minutes=90)},
    "a schedule": {"task": CARTS, "schedule": schedule(timedelta(hours=6))},
    "too fast": {"task": CARTS, "schedule": 0.5},
    "hourly": {"task": CARTS, "schedule": timedelta(hours=1), "relative": True},
    "six-hourly": {"task": CARTS, "schedule": timedelta(hours=6), "relative": True},
    "disabled": {"task": CARTS, "schedule": crontab(hour=3, minute=0), "enabled": False},
    "friday 13th": {"task": CARTS, "schedule": crontab(minute=0, hour=9, day_of_month=13, day_of_week="fri")},
    "in tokyo": {"task": CARTS, "schedule": crontab(minute=0, hour=9, nowfun=now_in_tokyo)},
    "in berlin": {"task": CARTS, "schedule": crontab(minute=0, hour=9, nowfun=now_in_berlin)},
    "lazy": {
        "task": DIGEST,
        "schedule": crontab(hour=1, minute=0),
        "kwargs": {"shop_id": 7, "subject": BeatLazyFunc(now_in_berlin)},
    },
    "unknown": {"task": "shop.tasks.send_digests", "schedule": 60},
    "wrong arguments": {"task": DIGEST, "schedule": 60, "kwargs": {"shop": 7}},
    "renamed": {"task": "mails.weekly", "schedule": crontab(hour=8, minute=0, day_of_week=1), "args": [], "kwargs": {}},
    "routed": {
        "task": CARTS,
        "schedule": 60,
        "options": {
            "queue": "bulk",
            "priority": 3,
            "headers": {"tenant": 7},
            "expires": timedelta(minutes=5),
            "link": 1,
        },
    },
    "ended": {"task": CARTS, "schedule": 60, "options": {"expires": datetime(2020, 1, 1, tzinfo=UTC)}},
    "ending": {"task": CARTS, "schedule": 60, "options": {"expires": datetime(2030, 1, 1, tzinfo=UTC)}},
    "broken": {"task": CARTS},
}


@app.on_after_finalize.connect
def add_more(sender, **kwargs):
    sender.add_periodic_task(crontab(minute=5), app.signature(CARTS), name="added")
