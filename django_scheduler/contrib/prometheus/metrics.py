"""Metrics say what is going on in the database when they are scraped, and count what this process has done.

In the library's multiprocess mode, ``exported()`` has both: what all processes of this host have done, and what is
going on in the database.

Labels are names of functions, queues, limits and states, of which there are few; never ids.
"""

import os
from collections import Counter as Counts
from collections.abc import Iterable
from typing import Any

from django.db import connections, router
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from django_scheduler.databases import django_internals
from django_scheduler.models import ScheduledFunction
from django_scheduler.signals import attempt_failed, function_finished, function_scheduled
from django_scheduler.status import ProblemCode, Status, status

#: From a millisecond to ten minutes, in seconds.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600)


class StatusCollector(Collector):
    """Reads what is going on in a database; default: the one that ``ScheduledFunction`` is written to."""

    def __init__(self, using: str | None = None) -> None:
        self._using = using

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering it does not ask the database."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Read the status, and yield the gauges."""
        now = _status(self._using or router.db_for_write(ScheduledFunction))
        pending = "Pending functions, executing mutations among them (counted to 100,000)."
        due = "Pending functions whose time has come, also in queues that are paused (counted to 100,000)."
        yield _of_queues("pending", pending, now, "pending")
        yield _of_queues("due", due, now, "due")
        yield _of_queues("lag_seconds", "Age of the oldest due function that nobody executes.", now, "lag")
        yield GaugeMetricFamily("django_scheduler_running", "Actions in progress.", value=now.running)
        batches = "Batches whose members have not all ended (counted to 100,000)."
        yield GaugeMetricFamily("django_scheduler_open_batches", batches, value=now.open_batches)
        yield from _of_limits(now)
        executors = GaugeMetricFamily("django_scheduler_executors", "Executors on record.", labels=["state"])
        executors.add_metric(["alive"], now.living_executors)
        executors.add_metric(["stale"], len(now.executors) - now.living_executors)
        yield executors
        problems = GaugeMetricFamily("django_scheduler_problems", "Why functions are late.", labels=["code"])
        found = Counts(problem.code for problem in now.problems)
        for code in ProblemCode:
            problems.add_metric([code.value], found[code])
        yield problems
        yield GaugeMetricFamily("django_scheduler_healthy", "1 if nothing needs somebody at once.", value=now.healthy)
        held = "Threads that are held by bodies that do not end although their time is up."
        yield GaugeMetricFamily("django_scheduler_held_threads", held, value=now.held_threads)


class Metrics:
    """Counts what this process schedules and executes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._scheduled = Counter(
            "django_scheduler_scheduled_total",
            "Functions that this process has scheduled.",
            ["function", "kind", "queue"],
            registry=registry,
        )
        self._finished = Counter(
            "django_scheduler_finished_total",
            "Functions whose success or failure this process has recorded.",
            ["function", "kind", "state", "failure"],
            registry=registry,
        )
        self._failed_attempts = Counter(
            "django_scheduler_failed_attempts_total",
            "Attempts that have failed and are repeated, as this process has recorded.",
            ["function", "kind", "failure"],
            registry=registry,
        )
        options: Any = {"labelnames": ["function", "kind"], "registry": registry, "buckets": BUCKETS}
        self._duration = Histogram("django_scheduler_duration_seconds", "How long the last attempt took.", **options)
        self._start_lag = Histogram(
            "django_scheduler_start_lag_seconds",
            "How long a function had been due when its last attempt began.",
            **options,
        )

    def count_scheduled(self, *, name: str, kind: str, queue: str, **arguments: Any) -> None:
        """Receive ``function_scheduled``."""
        self._scheduled.labels(name, kind, queue).inc()

    def count_failed_attempt(self, *, name: str, kind: str, failure: str, **arguments: Any) -> None:
        """Receive ``attempt_failed``."""
        self._failed_attempts.labels(name, kind, failure).inc()

    def count_finished(
        self,
        *,
        name: str,
        kind: str,
        state: str,
        failure: str,
        duration: float | None,
        lag: float | None,
        **arguments: Any,
    ) -> None:
        """Receive ``function_finished``."""
        self._finished.labels(name, kind, state, failure).inc()
        if duration is not None:
            self._duration.labels(name, kind).observe(duration)
        if lag is not None:
            self._start_lag.labels(name, kind).observe(lag)


def exported() -> CollectorRegistry:
    """Return the registry to export; with ``PROMETHEUS_MULTIPROC_DIR``, one of what all processes of this host count.

    Example::

        path("metrics/", lambda request: HttpResponse(generate_latest(exported()), content_type=CONTENT_TYPE_LATEST))
    """
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(StatusCollector())
    return registry


def register(registry: CollectorRegistry, using: str | None = None) -> Metrics:
    """Add all metrics to a registry."""
    metrics = Metrics(registry)
    registry.register(StatusCollector(using))
    # Not weakly: nothing else refers to them.
    function_scheduled.connect(metrics.count_scheduled, weak=False)
    attempt_failed.connect(metrics.count_failed_attempt, weak=False)
    function_finished.connect(metrics.count_finished, weak=False)
    return metrics


def _status(using: str) -> Status:
    # The thread may belong to the library's own server, where nothing else closes the connection.
    with django_internals.closed_again(connections[using]):
        return status(using)


def _of_queues(name: str, documentation: str, now: Status, attribute: str) -> Metric:
    metric = GaugeMetricFamily(f"django_scheduler_{name}", documentation, labels=["queue"])
    for queue in now.queues:
        metric.add_metric([queue.queue], getattr(queue, attribute))
    return metric


def _of_limits(now: Status) -> Iterable[Metric]:
    """Yield what is known of each limit, by its name: of the values of its key there may be very many."""
    of_each = [(limit.name, limit.waiting, limit.running, limit.concurrency) for limit in now.limits]
    size = "How many bodies of a limit run at once, for each value of its key."
    yield from _of_one_kind("limit", of_each, "running", "Slots of a limit that are held.", size)
    of_each = [(limit.name, limit.waiting, limit.started, limit.rate) for limit in now.rate_limits]
    size = "How many bodies of a rate limit begin within its period, for each value of its key."
    started = "How many bodies of a rate limit have begun within the last period."
    yield from _of_one_kind("rate_limit", of_each, "started", started, size)


def _of_one_kind(
    kind: str, of_each: Iterable[tuple[str, int, int, int | None]], in_use: str, in_use_documentation: str, size: str
) -> Iterable[Metric]:
    """Yield the gauges of limits of one kind: how many wait, how many slots are in use, and how many there are."""
    documentation = f"Functions that wait for a {kind.replace('_', ' ')} (counted to 100,000)."
    waiting = GaugeMetricFamily(f"django_scheduler_{kind}_waiting", documentation, labels=["limit"])
    used = GaugeMetricFamily(f"django_scheduler_{kind}_{in_use}", in_use_documentation, labels=["limit"])
    sizes = GaugeMetricFamily(f"django_scheduler_{kind}_size", size, labels=["limit"])
    for name, number_waiting, number_in_use, number in of_each:
        waiting.add_metric([name], number_waiting)
        used.add_metric([name], number_in_use)
        if number is not None:
            sizes.add_metric([name], number)
    yield from (waiting, used, sizes)
