"""A worker process, as the supervisor sees it.

A post: a place for one process that executes, always manned.

Whoever is to serve there is first a successor, who takes over when he executes: be it from nobody, or from one who has
done enough and only then is told to stop. So a replacement costs no capacity, but for a moment a process more.

Who dies is succeeded at once, unless he had hardly begun: then there is a wait, which doubles each time.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing import get_context
from typing import Any

from django_scheduler.executor import NOTHING
from django_scheduler.supervisor.child import Assignment, Report, serve
from django_scheduler.supervisor.stop_signals import masked_in_child
from django_scheduler.transactions import DoublingWait

_spawn = get_context("spawn")


class WorkerProcess:
    def __init__(self, assignment: Assignment) -> None:
        self._control, its_end = _spawn.Pipe()
        self._slots = _spawn.RawArray("q", assignment.concurrency)
        self._process = _spawn.Process(target=serve, args=(assignment, its_end, self._slots), name="runscheduler")
        with masked_in_child():
            self._process.start()
        its_end.close()
        self.id = self._process.pid
        self._began = time.monotonic()
        self._can_be_heard = True
        self._orders = 0
        #: Of its executor, once it executes.
        self.executor_name = ""
        #: Why it asks to be replaced.
        self.has_done_enough = ""

    @property
    def signs_of_life(self) -> list[Any]:
        """What becomes readable when it says something, or ends."""
        return [self._process.sentinel, *([self._control] if self._can_be_heard else [])]

    def listen(self) -> None:
        """Hear what it has said since."""
        while self._can_be_heard:
            try:
                if not self._control.poll():
                    return
                report, text = self._control.recv()
            except (EOFError, OSError):
                self._can_be_heard = False
                return
            if report is Report.STARTED:
                self.executor_name = text
            else:
                self.has_done_enough = text

    def order(self, insistence: int) -> None:
        """Stop (1), or stop at once (2)."""
        while self._orders < insistence:
            self._orders += 1
            with suppress(OSError):  # it has just ended
                self._control.send_bytes(b"stop")

    def kill(self) -> None:
        self._orders = max(self._orders, 1)
        self._process.kill()

    @property
    def has_started(self) -> bool:
        return bool(self.executor_name)

    @property
    def age(self) -> float:
        """In seconds."""
        return time.monotonic() - self._began

    # Once it has ended

    @property
    def has_ended(self) -> bool:
        return self._process.exitcode is not None

    @property
    def in_body(self) -> list[int]:
        """The functions whose bodies were running."""
        return sorted({function_id for function_id in self._slots if function_id != NOTHING})

    @property
    def ended_well(self) -> bool:
        # A body may well exit with 0.
        return self._process.exitcode == 0 and not self.in_body

    @property
    def was_cut_off(self) -> bool:
        """Whether it ended in the middle of something because it was told to stop."""
        return self._orders > 0

    @property
    def end(self) -> str:
        """How it ended, in words."""
        code = self._process.exitcode or 0
        if code >= 0:
            return f"exit code {code}"
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"

    def close(self) -> None:
        self._control.close()
        self._process.close()


#: Who has lived for so many seconds had not died of his start.
LONG_ENOUGH = 10.0


class Post:
    def __init__(self, start: Callable[[], WorkerProcess]) -> None:
        self._start = start
        self._serving: WorkerProcess | None = None
        self._successor: WorkerProcess | None = None
        self._retired: list[WorkerProcess] = []
        self._waits = DoublingWait(first=0.25, longest=30.0)
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
            self._waits.reset()
            wait = 0.0
        else:
            wait = self._waits.next()
        self._not_before = time.monotonic() + wait
        return wait
