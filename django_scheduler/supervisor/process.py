"""A child process, as the supervisor sees it.

It is spawned, not forked: nothing that the supervisor has opened, locked or patched is passed on to it, and it has the
code as it is on disk when it starts. A pipe leads to it and back, and its executor writes into shared memory whose
bodies run.
"""

import signal
import time
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection

from django_scheduler.supervisor.child import RETIRE, STOP, ChildOptions, Message, run_child
from django_scheduler.supervisor.stop_signals import blocked_in_child

_spawn = get_context("spawn")

#: A process whose main thread has not run for so long is silent, in seconds. It runs ten times a second.
SILENT_AFTER = 15.0

#: So is one that has not begun to execute after this time, in seconds: imports and the database may take long.
STARTS_WITHIN = 300.0


class ChildProcess:
    """Starts when it is made; ``close`` it when it has ended."""

    def __init__(self, options: ChildOptions) -> None:
        self._pipe, its_end = _spawn.Pipe()
        self._running_ids = _spawn.RawArray("q", options.concurrency)
        self._alive_at = _spawn.RawValue("d", 0.0)
        self._process = _spawn.Process(
            target=run_child, args=(options, its_end, self._running_ids, self._alive_at), name="runscheduler"
        )
        with blocked_in_child():
            self._process.start()
        its_end.close()
        self.id = self._process.pid
        self._started_at = time.monotonic()
        self._is_pipe_open = True
        self._stop_requests = 0
        self._is_retired = False
        #: The name of its executor; empty until that executes.
        self.executor_name = ""
        #: Why it has asked to be replaced; empty if it has not.
        self.replacement_reason = ""
        #: Whether it has done so because it can execute nothing more.
        self.is_stuck = False

    @property
    def waitables(self) -> list[Connection | int]:
        """Return what becomes readable when it sends a message or ends, for ``multiprocessing.connection.wait``."""
        return [self._process.sentinel, *([self._pipe] if self._is_pipe_open else [])]

    def receive(self) -> None:
        """Read the messages that it has sent since."""
        while self._is_pipe_open:
            try:
                if not self._pipe.poll():
                    return
                message, text = self._pipe.recv()
            except (EOFError, OSError):
                self._is_pipe_open = False
                return
            if message is Message.STARTED:
                self.executor_name = text
            else:
                self.replacement_reason = text
                self.is_stuck = message is Message.STUCK

    def retire(self) -> None:
        """Tell it that another process has taken over. It has as much time as its functions need."""
        self._is_retired = True
        self._send(RETIRE)

    def stop(self, requests: int) -> None:
        """Ask it to stop gracefully (1), or at once (2), if it has not ended by itself."""
        while self._stop_requests < requests and not self.has_ended:
            self._stop_requests += 1
            self._send(STOP)

    def _send(self, request: bytes) -> None:
        with suppress(OSError):  # it has just ended
            self._pipe.send_bytes(request)

    def kill(self) -> None:
        self._stop_requests = max(self._stop_requests, 1)
        self._process.kill()

    @property
    def was_asked_to_stop(self) -> bool:
        return self._stop_requests > 0

    @property
    def was_to_end(self) -> bool:
        """Return whether it has been asked to stop, or told to retire."""
        return self._is_retired or self.was_asked_to_stop

    @property
    def has_started(self) -> bool:
        return bool(self.executor_name)

    @property
    def age(self) -> float:
        """Return how long ago it was started, in seconds."""
        return time.monotonic() - self._started_at

    @property
    def is_silent(self) -> bool:
        """Return whether its main thread does not run although it has not been told to end.

        The whole process is stopped or starved, or native code keeps the interpreter's lock.
        """
        if self.was_to_end:
            return False
        alive_at = self._alive_at.value
        return time.monotonic() > alive_at + SILENT_AFTER if alive_at else self.age > STARTS_WITHIN

    @property
    def has_ended(self) -> bool:
        return self._process.exitcode is not None

    @property
    def running_ids(self) -> list[int]:
        """Return the ids of the functions whose bodies are running, or were when it ended."""
        return sorted({function_id for function_id in self._running_ids if function_id})

    @property
    def ended_well(self) -> bool:
        # A body may well exit with 0.
        return self._process.exitcode == 0 and not self.running_ids

    @property
    def end(self) -> str:
        """Return how it ended, in words: the name of the signal, or the exit code."""
        code = self._process.exitcode or 0
        if code >= 0:
            return f"exit code {code}"
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"

    def close(self) -> None:
        self._pipe.close()
        self._process.close()
