"""What a request pays for scheduling one function beside its row. Runs in the environment of this project.

Three transactions by turns, so that all meet the same machine: the business row alone, with a scheduled function,
and with a second row instead, inserted through the ORM.
"""

import json
import os
import time
from collections.abc import Callable
from statistics import median

import django
from django.db import transaction

ROUNDS = 1_000


def main() -> None:
    django.setup()
    from benchmarks.business.models import Effect, Order
    from benchmarks.contenders.ours import noop
    from django_scheduler import ctx

    def nothing() -> None:
        pass

    def function() -> None:
        ctx.scheduler.run_after(0, noop, job=0)

    def row() -> None:
        Effect.objects.create(job=0)

    def seconds(besides: Callable[[], None]) -> float:
        start = time.perf_counter()
        with transaction.atomic():
            Order.objects.create(number=0, customer="Ada Lovelace")
            besides()
        return time.perf_counter() - start

    candidates = {"alone": nothing, "with a function": function, "with a second row": row}
    for besides in candidates.values():
        seconds(besides)
    times: dict[str, list[float]] = {title: [] for title in candidates}
    for _ in range(int(os.environ.get("BENCH_ROUNDS", ROUNDS))):
        for title, besides in candidates.items():
            times[title].append(seconds(besides))
    print(json.dumps({title: median(each) * 1000 for title, each in times.items()}))


if __name__ == "__main__":
    main()
