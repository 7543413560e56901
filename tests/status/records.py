"""Records as they would be if time had passed."""

from datetime import timedelta
from typing import Any

from django.db.models import F
from django.utils import timezone

from django_scheduler.models import FAR, Executor, Kind, ScheduledFunction, Slot, State


def be_due_for(function_id: int, seconds: float) -> None:
    """Have been due for so long."""
    rows = ScheduledFunction.objects.filter(pk=function_id)
    rows.update(due_time=F("due_time") - timedelta(seconds=seconds))


def complete_earlier(function_id: int, earlier: timedelta) -> None:
    """Have been completed so much earlier."""
    rows = ScheduledFunction.objects.filter(pk=function_id)
    rows.update(completed_time=F("completed_time") - earlier)


def put_waiting_on_record(limit: str, seconds: float, **values: Any) -> ScheduledFunction:
    """Have been waiting for a limit for so long."""
    since = timezone.now() - timedelta(seconds=seconds)
    return ScheduledFunction.objects.create(
        **{
            "name": "tests:note",
            "kind": Kind.ACTION,
            "queue": "default",
            "priority": 0,
            "args": {"label": "a"},
            "state": State.PENDING,
            "scheduled_time": since,
            "creation_time": since,
            "due_time": FAR,
            "waiting_since": since,
            "waits_for": limit,
            "attempts": 0,
            **values,
        }
    )


def put_starts_on_record(limit: str, *seconds: float) -> None:
    """Have slots of a rate limit that were taken so many seconds ago."""
    now, number = timezone.now(), Slot.objects.filter(limit=limit).count()
    for further, ago in enumerate(seconds):
        Slot.objects.create(limit=limit, number=number + further, taken_time=now - timedelta(seconds=ago))


def put_silent_executor_on_record() -> None:
    """Of an executor that has not said for an hour that it is alive."""
    an_hour_ago = timezone.now() - timedelta(hours=1)
    Executor.objects.create(
        name="elsewhere:7:0",
        host="elsewhere",
        process_space="another",
        process_id=7,
        process_start="",
        started_time=an_hour_ago,
        heartbeat_time=an_hour_ago,
        queues=[],
        concurrency=8,
        version="0",
    )


def put_living_executor_on_record(name: str = "here:1:0", **values: Any) -> None:
    """Of an executor that has said just now that it is alive."""
    now = timezone.now()
    Executor.objects.create(
        name=name,
        **{
            "host": "here",
            "process_space": "another",
            "process_id": 1,
            "process_start": "",
            "started_time": now,
            "heartbeat_time": now,
            "queues": [],
            "concurrency": 8,
            "version": "0",
            **values,
        },
    )
