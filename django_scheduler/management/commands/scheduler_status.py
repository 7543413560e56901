"""``manage.py scheduler_status`` shows what is going on now, for people, for scripts, and as a health check."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError, router

from django_scheduler.management.arguments import at_least_0, known_database
from django_scheduler.models import ScheduledFunction
from django_scheduler.status import MOST_COUNTED, ExecutorStatus, PauseStatus, QueueStatus, Status, status
from django_scheduler.telemetry import one_line


class Command(BaseCommand):
    help = (
        "Shows what is pending, due, running and finished, and which executors are alive. The exit code is 1 if no"
        " executor is alive, if one has no thread left that works, or if a due function has waited longer than"
        " --max-lag in a queue that is not paused."
    )
    requires_system_checks = ()  # a health check is quick, and asked often

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="write one JSON object")
        parser.add_argument("--database", metavar="ALIAS", help="the database to look at")
        parser.add_argument(
            "--max-lag",
            type=at_least_0(float),
            metavar="SECONDS",
            help="how long a due function may have been waiting (default: any time)",
        )

    def handle(self, *, as_json: bool, database: str | None, max_lag: float | None, **options: Any) -> None:
        using = known_database(database or router.db_for_read(ScheduledFunction))
        try:
            now = status(using)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(
                f"The status cannot be read: {str(error).strip()}. Can the database be reached, and has"
                " `manage.py migrate` been run?"
            ) from error
        problems = list(_problems(now, max_lag))
        if as_json:
            self.stdout.write(json.dumps(_as_json(now, problems), default=str))
        else:
            for line in _as_text(now):
                self.stdout.write(one_line(line))
        for problem in problems:
            self.stderr.write(self.style.ERROR(one_line(problem)))
        if problems:
            sys.exit(1)


def _problems(now: Status, max_lag: float | None) -> Iterable[str]:
    if not now.living_executors:
        yield "No executor is alive."
    if max_lag is not None and now.unwanted_lag > max_lag:
        yield f"A due function has been waiting for {now.unwanted_lag:.1f} s, and may wait for {max_lag:g} s."

    for executor in now.executors:
        if executor.is_alive and executor.held_threads == executor.concurrency:
            names = ", ".join(f"{each.name} {each.id}" for each in executor.running)
            yield f"Executor {executor.name} has no thread left that works: bodies that do not end hold them ({names})."


def _as_json(now: Status, problems: list[str]) -> dict[str, Any]:
    return {
        "healthy": not problems,
        "problems": problems,
        "pending": now.pending,
        "due": now.due,
        "lag": now.lag,
        "running": now.running,
        "finished_per_minute": now.ended_per_minute.finished,
        "failed_per_minute": now.ended_per_minute.failed,
        "canceled_per_minute": now.ended_per_minute.canceled,
        "living_executors": now.living_executors,
        "held_threads": now.held_threads,
        "counted_at_most": MOST_COUNTED,
        "queues": [asdict(queue) for queue in now.queues],
        "pauses": [asdict(pause) for pause in now.pauses],
        "executors": [asdict(executor) for executor in now.executors],
    }


def _as_text(now: Status) -> Iterable[str]:
    ended = now.ended_per_minute
    yield f"pending   {_count(now.pending)}, of which due: {_count(now.due)}"
    yield f"lag       {now.lag:.1f} s"
    yield f"running   {_count(now.running)}"
    yield f"finished  {_count(ended.finished)} within the last minute, of which failed: {_count(ended.failed)}"
    yield f"executors {now.living_executors} alive, of {len(now.executors)} on record"
    if now.held_threads:
        yield f"held      {now.held_threads} threads, by bodies that do not end although their time is up"
    yield from _table(("queue", "pending", "due", "lag"), map(_queue, now.queues))
    yield from _table(("paused", "since", "by", "reason"), map(_pause, now.pauses))
    yield from _table(("executor", "state", "heartbeat", "concurrency", "queues"), map(_executor, now.executors))


def _queue(queue: QueueStatus) -> tuple[str, ...]:
    return queue.queue, _count(queue.pending), _count(queue.due), f"{queue.lag:.1f} s"


def _pause(pause: PauseStatus) -> tuple[str, ...]:
    since = f"{pause.paused_time:%Y-%m-%d %H:%M:%S} UTC"
    return pause.queue or "everything", since, pause.paused_by, pause.reason


def _executor(executor: ExecutorStatus) -> tuple[str, ...]:
    state = "alive" if executor.is_alive else "stale"
    queues = ", ".join(executor.queues) or "all"
    concurrency = str(executor.concurrency) + (f", {_held(executor)}" if executor.held_threads else "")
    return executor.name, state, f"{executor.silence:.0f} s ago", concurrency, queues


def _held(executor: ExecutorStatus) -> str:
    return f"{executor.held_threads} held"


def _table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> Iterable[str]:
    """Yield an empty line and a table, if it has any lines."""
    rows = list(lines)
    if not rows:
        return
    yield ""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _count(number: int) -> str:
    return f"{number:,}+" if number >= MOST_COUNTED else f"{number:,}"
