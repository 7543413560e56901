"""How a mutation is stopped whose time is up.

Its thread gets an exception, and its connection is told to stop the statement that it is executing: whichever of them
it is in, Python or the database, it ends. The transaction is rolled back, and the connection is closed, because a
command to stop that arrives late must not meet the next function.

A body that waits in C code, as ``time.sleep`` does, cannot be stopped. Its session can: so that the locks go that it
holds, first of all that of its own row. It can write nothing more then, because its transaction is gone and Django
opens no other one inside of ``atomic``.
"""

import ctypes
import logging
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta

from django_scheduler.databases import Database
from django_scheduler.errors import TimedOut
from django_scheduler.executor.budget import Budget
from django_scheduler.executor.errand import start_errand
from django_scheduler.log import log_of_executors as log


class MutationBudget(Budget):
    """Of the body that the current thread is about to run on its connection to the database.

    ``record``: records the timeout of a body that does not end, on a connection of its own.
    """

    def __init__(self, timeout: timedelta | None, database: Database, record: Callable[[TimedOut], None]) -> None:
        super().__init__(timeout, interrupt=self._stop, give_up=self._cut_off)
        self._database = database
        self._record = record
        self._session = None if timeout is None else database.session()
        self._thread_id = threading.get_ident()
        self._interrupting: Future[None] | None = None

    def _stop(self) -> None:
        _raise_in(self._thread_id, TimedOut)
        if self._interrupting is None or self._interrupting.done():
            self._interrupting = start_errand(self._interrupt_statement)

    def _interrupt_statement(self) -> None:
        try:
            self._database.interrupt_statement(self._session)
        except Exception as error:
            if not self.has_ended:
                log(
                    logging.ERROR,
                    "A statement whose time is up could not be stopped, which is tried again: %s",
                    error,
                    error=error,
                )

    def _cut_off(self) -> None:
        error = self.error
        if frame := sys._current_frames().get(self._thread_id):
            stack = "".join(traceback.format_stack(frame))
            error.add_note(f"It does not react. Its thread stays where it is until it returns by itself:\n{stack}")

        def run() -> None:
            if self.has_ended:
                return
            try:
                self._database.end_session(self._session)
            except Exception as problem:
                log(
                    logging.ERROR,
                    "The session of a mutation that does not end could not be ended: %s",
                    problem,
                    error=problem,
                )
            try:
                self._record(error)
            except Exception as problem:
                log(
                    logging.ERROR,
                    "The timeout of a mutation could not be recorded, which so will run again: %s",
                    problem,
                    error=problem,
                )

        start_errand(run)

    def _take_back(self) -> None:
        _raise_in(self._thread_id, None)


def _raise_in(thread_id: int, error: type[BaseException] | None) -> None:
    """Have an exception raised in a thread, in place of one that has not arrived yet; ``None``: have none raised."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread_id), None if error is None else ctypes.py_object(error)
    )
