"""``health`` answers whether the scheduler is healthy: for a monitor, or a load balancer, that asks over HTTP.

It answers 200 or 503, and tells nothing else of the system, so it may be public. It never takes long: the status is
read at most once in ``FRESH_FOR``, in a thread of its own, however many ask; and a request that has no answer within
``ANSWER_WITHIN`` is answered that it is not healthy.

Example::

    urlpatterns = [path("health/scheduler/", health)]
"""

import os
import threading
import time
from concurrent.futures import Future

from django.contrib.auth.decorators import login_not_required
from django.db import router, transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from django_scheduler.databases import database_for
from django_scheduler.executor import session_of_side_task, start_in_background
from django_scheduler.models import ScheduledFunction
from django_scheduler.status import status
from django_scheduler.telemetry import warn

#: How long what was read is taken to be so, and how long a request waits for it, in seconds.
FRESH_FOR, ANSWER_WITHIN = 2.0, 2.0

#: How long the database may take for each statement before its connection is cut, in seconds.
ANSWER_TIMEOUT = 10.0


class _Look:
    """Reads the status in a thread of its own."""

    def __init__(self) -> None:
        self._process_id = os.getpid()
        self._began = time.monotonic()
        self._is_healthy = False
        self._end: Future[None] = start_in_background(self._read)

    @property
    def is_fresh(self) -> bool:
        """Return whether there need not be another one yet: a fork has not got its thread, and needs one."""
        is_recent = time.monotonic() < self._began + FRESH_FOR
        return os.getpid() == self._process_id and (is_recent or not self._end.done())

    @property
    def is_healthy(self) -> bool:
        """Return what was read, as soon as it is, and false if that takes too long."""
        try:
            self._end.result(max(0.0, self._began + ANSWER_WITHIN - time.monotonic()))
        except TimeoutError:
            return False
        return self._is_healthy

    def _read(self) -> None:
        using = router.db_for_write(ScheduledFunction)
        try:
            with session_of_side_task(database_for(using), answer_timeout=ANSWER_TIMEOUT):
                self._is_healthy = status(using).healthy
        except Exception as error:
            warn("Whether the scheduler is healthy could not be read: %s", error)


_lock = threading.Lock()
_latest: _Look | None = None


def _look() -> _Look:
    global _latest
    with _lock:
        if _latest is None or not _latest.is_fresh:
            _latest = _Look()
        return _latest


def _make_new_lock() -> None:
    global _lock
    _lock = threading.Lock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_make_new_lock)


@login_not_required
@never_cache
@require_safe
@transaction.non_atomic_requests
def health(request: HttpRequest) -> JsonResponse:
    """Answer 200 if the scheduler is healthy, and otherwise 503."""
    is_healthy = _look().is_healthy
    return JsonResponse({"healthy": is_healthy}, status=200 if is_healthy else 503)
