"""A worker process, as the supervisor sees it."""

import signal
import time
from contextlib import suppress
from multiprocessing import get_context
from typing import Any

from django_scheduler.executor.flight_recorder import NOTHING
from django_scheduler.supervisor.assignment import Assignment
from django_scheduler.supervisor.duty import Report, serve
from django_scheduler.supervisor.stop_signals import masked_in_child

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
