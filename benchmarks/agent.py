"""``python -m benchmarks.agent``: what does the harness's bidding in the environment of a contender.

It reads one request a line from standard input, ``{"method": ..., "arguments": {...}}``, and answers each with one
line. Whatever the contender prints goes to standard error.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module, metadata
from typing import Any

from benchmarks.contender import Contender, NotSupported
from benchmarks.header import Header, read_header


class Agent:
    def __init__(self, contender: Contender, header: Header) -> None:
        self._contender = contender
        self._header = header

    def versions(self) -> dict[str, str]:
        """Of everything that is installed."""
        return {distribution.name: distribution.version for distribution in metadata.distributions()}

    def prepare(self) -> None:
        self._contender.prepare()

    def schedule(self, body: str, job: int) -> float:
        return self._contender.schedule(body, job)

    def schedule_one_by_one(self, body: str, first: int, count: int, seconds: float) -> list[float]:
        """So many transactions, but for so many seconds at most; how many there were, and how long they took."""
        start = time.perf_counter()
        done = 0
        while done < count and time.perf_counter() - start < seconds:
            self._contender.schedule(body, first + done)
            done += 1
        return [done, time.perf_counter() - start]

    def schedule_many(self, body: str, first: int, count: int) -> float:
        """How long it took, in seconds."""
        start = time.perf_counter()
        self._contender.schedule_many(body, range(first, first + count))
        return time.perf_counter() - start

    def schedule_up_to(self, body: str, first: int, count: int, seconds: float) -> int:
        """Schedule so many, a thousand at a time, but none after so many seconds; return how many there were."""
        start = time.perf_counter()
        done = 0
        while done < count and time.perf_counter() - start < seconds:
            some = min(1_000, count - done)
            self._contender.schedule_many(body, range(first + done, first + done + some))
            done += some
        return done

    def schedule_at(self, body: str, first: int, times: list[float]) -> None:
        for job, when in enumerate(times, first):
            self._contender.schedule_at(body, job, datetime.fromtimestamp(when, UTC))

    def schedule_in_queues(self, body: str, first: int, count: int, queues: int) -> None:
        self._contender.schedule_in_queues(body, range(first, first + count), queues)

    def cancel_all(self) -> None:
        self._contender.cancel_all()

    def unfinished(self) -> int:
        return self._contender.unfinished()


def load(header: Header) -> Contender:
    if header.uses_django:
        import django

        django.setup()
    make: Callable[[], Contender] = import_module(header.module).contender
    return make()


def answer(function: Callable[..., object], arguments: dict[str, Any]) -> dict[str, object]:
    try:
        return {"result": function(**arguments)}
    except NotSupported as error:
        return {"not_supported": str(error)}
    except Exception as error:
        import traceback

        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}


def main() -> None:
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    header = read_header(os.environ["BENCH_CONTENDER"])
    agent = Agent(load(header), header)
    print(json.dumps({"result": None}), file=answers)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(answer(getattr(agent, request["method"]), request["arguments"])), file=answers)


if __name__ == "__main__":
    main()
