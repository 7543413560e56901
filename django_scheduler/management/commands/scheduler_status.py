"""``manage.py scheduler_status`` shows what is going on now, for people, for scripts, and as a health check."""

import json
from argparse import ArgumentParser
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError
from django.db import router

from django_scheduler.management.arguments import at_least_0, known_database
from django_scheduler.management.command import SchedulerCommand, refusing_what_is_wrong
from django_scheduler.models import ScheduledFunction
from django_scheduler.status import (
    MOST_COUNTED,
    ExecutorStatus,
    LimitStatus,
    PauseStatus,
    Problem,
    QueueStatus,
    RateLimitStatus,
    Status,
    status,
)
from django_scheduler.telemetry import one_line


class Command(SchedulerCommand):
    help = (
        "Shows what is pending, due, running and finished, which executors are alive, and what is wrong. The exit code"
        " is 1 if something needs somebody at once: no executor serves a queue with due functions, one has no thread"
        " left that works or too old code, or a due function has waited for too long in a queue that is not paused."
    )
    requires_system_checks = ()  # a health check is quick, and asked often

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="write one JSON object")
        parser.add_argument("--database", metavar="ALIAS", help="the database to look at")
        parser.add_argument(
            "--max-lag",
            type=at_least_0(float),
            metavar="SECONDS",
            help="how long a due function may have been waiting, in each queue (default: the setting MAX_LAG)",
        )

    def handle(self, *, as_json: bool, database: str | None, max_lag: float | None, **options: Any) -> None:
        using = known_database(database or router.db_for_write(ScheduledFunction))
        with refusing_what_is_wrong("The status cannot be read"):
            now = status(using)
        problems = now.problems_beyond(max_lag)
        is_healthy = all(problem.is_warning for problem in problems)
        if as_json:
            self.stdout.write(json.dumps(_as_json(now, problems, is_healthy), default=str))
        else:
            for line in _as_text(now):
                self.stdout.write(one_line(line))
        for problem in problems:
            if problem.is_warning:
                self.stderr.write(self.style.WARNING(one_line(problem.message)))
        if not is_healthy:
            serious = (one_line(problem.message) for problem in problems if not problem.is_warning)
            raise CommandError("\n".join(serious), returncode=1)


def _as_json(now: Status, problems: Iterable[Problem], is_healthy: bool) -> dict[str, Any]:
    return {
        "healthy": is_healthy,
        "problems": [
            {
                "code": problem.code,
                "queue": problem.queue,
                "is_warning": problem.is_warning,
                "message": problem.message,
            }
            for problem in problems
        ],
        "pending": now.pending,
        "due": now.due,
        "lag": now.lag,
        "running": now.running,
        "finished_per_minute": now.ended_per_minute.finished,
        "failed_per_minute": now.ended_per_minute.failed,
        "canceled_per_minute": now.ended_per_minute.canceled,
        "living_executors": now.living_executors,
        "held_threads": now.held_threads,
        "open_batches": now.open_batches,
        "counted_at_most": MOST_COUNTED,
        "queues": [{**asdict(queue), "served_by": _serving(queue, now.executors)} for queue in now.queues],
        "pauses": [asdict(pause) for pause in now.pauses],
        "limits": [{**asdict(limit), "is_set": limit.is_set} for limit in now.limits],
        "rate_limits": [{**asdict(limit), "is_set": limit.is_set} for limit in now.rate_limits],
        "executors": [asdict(executor) for executor in now.executors],
        "unknown_functions": [asdict(function) for function in now.unknown_functions],
    }


def _as_text(now: Status) -> Iterable[str]:
    ended = now.ended_per_minute
    yield f"pending   {_count(now.pending)}, of which due: {_count(now.due)}"
    yield f"lag       {now.lag:.1f} s"
    yield f"running   {_count(now.running)}"
    yield f"finished  {_count(ended.finished)} within the last minute, of which failed: {_count(ended.failed)}"
    yield f"executors {now.living_executors} alive, of {len(now.executors)} on record"
    if now.held_threads:
        threads = "1 thread" if now.held_threads == 1 else f"{now.held_threads} threads"
        yield f"held      {threads}, by bodies that do not end although their time is up"
    if now.open_batches:
        yield f"batches   {_count(now.open_batches)} open"
    queues = ((*_queue(queue), str(len(_serving(queue, now.executors)))) for queue in now.queues)
    yield from _table(("queue", "pending", "due", "lag", "executors"), queues)
    yield from _table(("paused", "since", "by", "reason"), map(_pause, now.pauses))
    limits = (_limit(limit) for limit in now.limits if limit.waiting or limit.running or limit.is_set)
    yield from _table(("limit", "at once", "running", "waiting", "oldest", "set by", "reason"), limits)
    rates = (_rate_limit(limit) for limit in now.rate_limits if limit.waiting or limit.started or limit.is_set)
    yield from _table(("rate limit", "begin", "started", "waiting", "oldest", "set by", "reason"), rates)
    yield from _table(("executor", "state", "heartbeat", "concurrency", "queues"), map(_executor, now.executors))


def _serving(queue: QueueStatus, executors: Iterable[ExecutorStatus]) -> list[str]:
    return [executor.name for executor in executors if executor.serves(queue.queue)]


def _queue(queue: QueueStatus) -> tuple[str, ...]:
    return queue.queue, _count(queue.pending), _count(queue.due), f"{queue.lag:.1f} s"


def _pause(pause: PauseStatus) -> tuple[str, ...]:
    since = f"{pause.paused_time:%Y-%m-%d %H:%M:%S} UTC"
    return pause.queue or "everything", since, pause.paused_by, pause.reason


def _limit(limit: LimitStatus) -> tuple[str, ...]:
    return limit.name, _number(limit, limit.concurrency, ""), f"{limit.running:,}", *_what_waits(limit)


def _rate_limit(limit: RateLimitStatus) -> tuple[str, ...]:
    per = "" if limit.per is None else f" in {limit.per:,g} s"
    return limit.name, _number(limit, limit.rate, per), f"{limit.started:,}", *_what_waits(limit)


def _number(limit: LimitStatus | RateLimitStatus, number: int | None, per: str) -> str:
    of_code = f" (code: {limit.declared:,})" if limit.is_set and limit.declared is not None else ""
    return ("?" if number is None else f"{number:,}{per}") + of_code


def _what_waits(limit: LimitStatus | RateLimitStatus) -> tuple[str, ...]:
    oldest = f"{limit.oldest:.1f} s" if limit.waiting else ""
    return _count(limit.waiting), oldest, limit.changed_by, limit.reason


def _executor(executor: ExecutorStatus) -> tuple[str, ...]:
    state = "alive" if executor.is_alive else "stale"
    queues = ", ".join(executor.queues) or ("all" if executor.concurrency else "none: a worker of a fleet")
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
