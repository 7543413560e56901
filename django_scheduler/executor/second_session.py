"""The second session of an executor: what it asks is committed whatever becomes of the transaction of a worker."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

from django_scheduler.databases import Database
from django_scheduler.executor.answer_timeout import awaiting_answer, awaiting_nothing
from django_scheduler.executor.session import in_session

#: For how long it is kept when nobody needs it, in seconds.
KEPT = 30.0

#: How long its end is waited for, in seconds.
END_TIMEOUT = 2.0

R = TypeVar("R")


class SecondSession:
    """Asks the database outside of the transaction of a worker, so that it is committed whatever becomes of that.

    Another thread of the executor does it, on a session of its own. Both are there as long as they are needed.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._requests: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        #: Guards whether there is a thread.
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def ask(self, call: Callable[[], R], *, outside_transaction: bool) -> R:
        """Return what a call returns that asks the database; ``outside_transaction``: of this thread."""
        if not (outside_transaction and self.database.has_server):
            with awaiting_answer():
                return call()
        answer: Future[R] = Future()

        def make() -> None:
            try:
                result = call()
            except BaseException as error:
                answer.set_exception(error)
                raise
            answer.set_result(result)

        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="django_scheduler second session", daemon=True)
                thread.start()  # if that fails, nobody waits for an answer
                self._thread = thread
            self._requests.put(make)
        with awaiting_nothing():  # the other session has an answer timeout of its own
            return answer.result()

    def stop(self) -> None:
        """End that thread, where the database answers in time; no worker needs it any more."""
        with self._lock:
            thread = self._thread
            if thread is not None:
                self._requests.put(None)
        if thread is not None:
            thread.join(END_TIMEOUT)

    def _run(self) -> None:
        while True:
            with suppress(BaseException):  # who has asked was told, and the next one has a new session
                in_session(self.database, self._make_requests)()
            with self._lock:
                if self._requests.empty():
                    self._thread = None
                    return

    def _make_requests(self) -> None:
        """Make requests until there have been none for a while."""
        while (request := self._next_request()) is not None:
            request()

    @awaiting_nothing()
    def _next_request(self) -> Callable[[], None] | None:
        try:
            return self._requests.get(timeout=KEPT)
        except Empty:
            return None
