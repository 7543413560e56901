"""A post: a place for one process that executes, always manned.

Whoever is to serve there is first a successor, who takes over when he executes: be it from nobody, or from one who has
done enough and only then is told to stop. So a replacement costs no capacity, but for a moment a process more.

Who dies is succeeded at once, unless he had hardly begun: then there is a wait, which doubles each time.
"""

import time
from collections.abc import Callable, Iterator

from django_scheduler.supervisor.worker_process import WorkerProcess

#: Who has lived for so many seconds had not died of his start.
LONG_ENOUGH = 10.0

#: The waits before another start, in seconds.
FIRST_WAIT, LONGEST_WAIT = 0.25, 30.0


class Post:
    def __init__(self, start: Callable[[], WorkerProcess]) -> None:
        self._start = start
        self._serving: WorkerProcess | None = None
        self._successor: WorkerProcess | None = None
        self._retired: list[WorkerProcess] = []
        self._wait = 0.0
        self._not_before = 0.0
        self._is_closed = False

    @property
    def processes(self) -> Iterator[WorkerProcess]:
        yield from self._retired
        if self._serving:
            yield self._serving
        if self._successor:
            yield self._successor

    @property
    def seconds_until_start(self) -> float | None:
        """Until another process has to be started; ``None`` where none has to."""
        if self._is_closed or self._successor or (self._serving and not self._serving.has_done_enough):
            return None
        return max(0.0, self._not_before - time.monotonic())

    def man(self) -> None:
        """See to it that it is served."""
        if self._successor and self._successor.has_started:
            if self._serving:
                self._serving.order(1)
                self._retired.append(self._serving)
            self._serving, self._successor = self._successor, None
        if self.seconds_until_start == 0:
            self._successor = self._start()

    def close(self) -> None:
        """Nobody serves here after those who do now."""
        self._is_closed = True

    def remove(self, process: WorkerProcess) -> float:
        """Of those who have ended. In how many seconds there will be another one, if there has to be."""
        if process in self._retired:
            self._retired.remove(process)
            return 0.0
        if process is self._serving:
            self._serving = None
        else:
            self._successor = None
        if process.ended_well or process.age >= LONG_ENOUGH:
            self._wait = 0.0
        else:
            self._wait = min(self._wait * 2, LONGEST_WAIT) if self._wait else FIRST_WAIT
        self._not_before = time.monotonic() + self._wait
        return self._wait
