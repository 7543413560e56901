"""What scheduling takes of a caller's CPU, in bulk too, and what a test takes that executes many functions. Runs in the
environment of this project.

Beside each stands the least that Django asks for the same: a row inserted through the ORM.
"""

import json
import time
from collections.abc import Callable
from statistics import median
from unittest import TestResult, TestSuite

import django
from django.db import transaction
from django.test import TestCase

#: Calls of one transaction, which its limits allow; rows in bulk; and functions in a test.
CALLS, BULK, IN_A_TEST = 500, 10_000, 5_000

ROUNDS = 5


def main() -> None:
    django.setup()
    from benchmarks.business.models import Effect
    from benchmarks.contenders.ours import noop
    from django_scheduler import ctx

    def call() -> None:
        for job in range(CALLS):
            ctx.scheduler.run_after(0, noop, job=job)

    def row() -> None:
        for job in range(CALLS):
            Effect.objects.create(job=job)

    def many_calls() -> None:
        ctx.scheduler.run_after_many(0, noop, [{"job": job} for job in range(BULK)])

    def many_rows() -> None:
        Effect.objects.bulk_create([Effect(job=job) for job in range(BULK)], batch_size=1_000)

    candidates: dict[str, tuple[Callable[[], None], int]] = {
        "one call in a transaction": (call, CALLS),
        "one row through the ORM": (row, CALLS),
        "one of 10,000 in bulk": (many_calls, BULK),
        "one of 10,000 rows in bulk_create": (many_rows, BULK),
    }
    for function, _ in candidates.values():
        _times(function)
    # By turns, so that all meet the same machine.
    times: dict[str, list[tuple[float, float]]] = {title: [] for title in candidates}
    for _ in range(ROUNDS):
        for title, (function, _) in candidates.items():
            times[title].append(_times(function))
    figures = {}
    for title, (_, count) in candidates.items():
        figures[title] = [median(each) / count * 1e6 for each in zip(*times[title], strict=True)]
    ctx.scheduler.cancel_all(everything=True)
    print(json.dumps({"microseconds": figures, "run_due": _seconds_of_run_due()}))


def _times(function: Callable[[], None]) -> tuple[float, float]:
    """Of this thread's CPU, and of the clock, in seconds."""
    with transaction.atomic():
        cpu, clock = time.thread_time(), time.perf_counter()
        function()
        return time.thread_time() - cpu, time.perf_counter() - clock


def _seconds_of_run_due() -> float:
    """How long a test waits for 5,000 functions that do nothing."""
    from benchmarks.contenders.ours import noop
    from django_scheduler import ctx
    from django_scheduler.testing import ManualScheduler

    seconds: list[float] = []

    class ManyFunctions(TestCase):
        def test_run_due(self) -> None:
            with ManualScheduler() as scheduler:
                ctx.scheduler.run_after_many(0, noop, [{"job": job} for job in range(IN_A_TEST)])
                start = time.perf_counter()
                executed = scheduler.run_due()
                seconds.append(time.perf_counter() - start)
                assert len(executed) == IN_A_TEST

    result = TestResult()
    TestSuite([ManyFunctions("test_run_due")]).run(result)  # within the transactions of TestCase
    if not seconds:
        raise RuntimeError(f"The test failed: {result}, {result.errors}")
    return seconds[0]


if __name__ == "__main__":
    main()
