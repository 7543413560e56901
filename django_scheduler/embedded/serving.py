"""Which processes execute: those that serve the site.

Importing ``wsgi.py`` is not serving. A server may import it in a process that only forks the ones that serve
(gunicorn with ``--preload``). So does a shell, or a test. What a process does is seen by this:

* It has started up (``lifespan`` of ASGI), or handles a request: it serves, so it executes at once. While it starts up
  it does not, because its functions may use what the application opens then.
* A second passes, and it does neither. Mostly it serves and has no visitor, so it executes. A management command other
  than ``runserver`` does not, nor a shell, before it handles a request; and what runs tests never does.
* ``multiprocessing`` starts it anew, and imports the site because the main program does: so it may be one of a pool
  that a body uses. It executes when it handles a request. A worker of a server, as uvicorn's are, imports the site
  later.
* Its main thread forks before it has begun with either: it prepares processes that serve, and is not one of them. It
  ends its executor if that has started, before the fork, because no connection may be there twice. Each process that
  it forks begins anew with this list. Should it handle a request all the same, it executes again.
* Anything else that forks makes no process that serves: a body, another thread, ``multiprocessing``, ``subprocess``, or
  the main thread once the process serves. Such a process executes nothing, and neither does any that it forks (and of
  what a body forks see ``executor/forks.py``).

The end of the process is noticed where threads still can be started, and pools still take work, because bodies use both
until they have ended: before Python waits for threads. ``atexit`` comes after that. A server that ends itself by a
signal, as uvicorn does, says so before (``lifespan`` again). Where nobody handles SIGTERM, it is made to end Python in
good order.
"""

import atexit
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from django.core.signals import request_started

from django_scheduler.embedded.embedded_executor import EmbeddedExecutor, runs_tests
from django_scheduler.embedded.options import Options
from django_scheduler.executor import watch_forks
from django_scheduler.telemetry import log_of_executors as log

#: After how many seconds a process that has handled no request executes.
DELAY = 1.0

#: What forks processes that serve nothing.
NO_SERVERS = ("multiprocessing.popen_fork", "multiprocessing.forkserver", "billiard.popen_fork", "subprocess")

#: What starts a process anew and imports the main program in it, and what then calls that for which it was started.
STARTING_ANEW, STARTED = {"multiprocessing.spawn", "multiprocessing.forkserver"}, "multiprocessing.process"


class Serving:
    """Knows whether this process serves, and has the executor that it executes with if it does."""

    def __init__(self) -> None:
        self._embedded: EmbeddedExecutor | None = None
        self._options = Options()
        #: Whether what the main thread forks is to serve.
        self._prepares_servers = True
        #: Whether it was forked by something else, to do something else.
        self._has_other_work = False
        #: The thread that is about to fork a process that serves, by its number.
        self._forks_servers: int | None = None
        self._is_prepared = False

    def execute(self, options: Options) -> None:
        """Execute in this process as soon as it serves. Until it does, another call may change the options."""
        if runs_tests():
            return
        if patched := _replaced_threads():
            log(
                logging.ERROR,
                "No scheduled function is executed in process %d, because %s has replaced Python's threads: one that"
                " waits for the database would keep all requests waiting. Run `manage.py runscheduler` beside it.",
                os.getpid(),
                patched,
            )
            return
        self._options = options
        self._prepare()
        if self._embedded is None:
            self._begin_by_itself()
        elif not self._embedded.has_started:
            self._embedded.options = options
        elif self._embedded.options != options:
            log(
                logging.WARNING,
                "Process %d executes scheduled functions already, so with_scheduler comes too late to change how: %s."
                " Call it sooner after the start, or leave out the setting EMBEDDED.",
                os.getpid(),
                options,
            )

    def starts_up(self) -> None:
        """Note that this process is going to serve, and says when it has started up."""
        self._prepares_servers = False
        if self._embedded is not None:
            self._embedded.wait_until_told()

    def has_begun(self) -> None:
        """Note that this process serves."""
        if self._is_prepared:
            self._prepares_servers = False
            if self._embedded is None:
                self._embedded = self._begin()
            self._embedded.start_now()

    def end(self) -> None:
        """End what executes here, because the process ends."""
        if self._embedded is not None:
            with suppress(KeyboardInterrupt, SystemExit):  # it is told once more to end, which it does
                self._embedded.end()

    def _prepare(self) -> None:
        if not self._is_prepared:
            self._is_prepared = True
            request_started.connect(self._note_request, weak=False)
            watch_forks()  # before the next line: what is registered first is called first in a process that was forked
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(before=self._before_fork, after_in_child=self._after_fork)
            self._exit_at_sigterm()
            with suppress(ImportError):
                import_module("concurrent.futures.process")  # what registers later is called earlier
            # Not documented, and the only one that comes in time; what has replaced it, if anything has, is atexit.
            register: Any = getattr(threading, "_register_atexit", atexit.register)
            register(self.end)

    def _exit_at_sigterm(self) -> None:
        """Have SIGTERM end Python, and not the process at once, unless somebody handles it, now or later."""
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _exit)

    def _begin_by_itself(self) -> None:
        """Execute after the delay, unless nobody knows whether this process will ever serve."""
        if serves_in_development() or not (management_command() is not None or is_shell() or is_starting_anew()):
            self._embedded = self._begin()

    def _begin(self) -> EmbeddedExecutor:
        embedded = EmbeddedExecutor(self._options, delay=DELAY, shows_log=is_development_server())
        embedded.begin()
        return embedded

    def _note_request(self, **kwargs: object) -> None:
        # By one thread only, of those with the first requests.
        if request_started.disconnect(self._note_request) and not self._has_other_work:
            self.has_begun()

    def _before_fork(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        forked_by = sys._getframe(1).f_globals.get("__name__")
        is_forking_servers = self._prepares_servers and forked_by not in NO_SERVERS
        self._forks_servers = threading.get_ident() if is_forking_servers else None
        if is_forking_servers and self._embedded is not None:
            self._embedded.end_before_fork()
            self._embedded = None

    def _after_fork(self) -> None:
        self._embedded = None
        if self._forks_servers == threading.get_ident():
            self._begin_by_itself()
        else:
            # Whatever takes a lock may not be called here: another thread may have held it.
            self._has_other_work, self._prepares_servers = True, False
            if signal.getsignal(signal.SIGTERM) is _exit:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _exit(*_: object) -> NoReturn:
    sys.exit(0)


serving = Serving()


def serves_in_development() -> bool:
    """Return whether ``runserver`` serves in this process, and does not only restart the one that does."""
    serves = "true" in (os.environ.get("RUN_MAIN"), os.environ.get("WERKZEUG_RUN_MAIN"))
    return is_development_server() and (serves or any(each.startswith("--nor") for each in sys.argv))  # --noreload


def is_development_server() -> bool:
    """Return whether this process runs ``runserver``, whichever app's it is."""
    return (management_command() or "").startswith("runserver")


def is_shell() -> bool:
    """Return whether somebody types what this process runs."""
    return hasattr(sys, "ps1") or bool(sys.flags.interactive)


def is_starting_anew() -> bool:
    """Return whether ``multiprocessing`` prepares this process, and imports for it what its parent has imported."""
    callers: set[object] = set()
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        callers.add(frame.f_globals.get("__name__"))
        frame = frame.f_back
    return not callers.isdisjoint(STARTING_ANEW) and STARTED not in callers


def management_command() -> str | None:
    """Return which management command this process runs; ``None``: it runs none."""
    program = Path(sys.argv[0] if sys.argv else "")
    if (
        program.stem == "manage"
        or program.stem.startswith("django-admin")
        or program.parts[-2:] == ("django", "__main__.py")
    ):
        return sys.argv[1] if len(sys.argv) > 1 else ""
    return None


def _replaced_threads() -> str:
    """Return what has replaced Python's threads by ones that share one of the system's; empty: nothing has."""
    gevent: Any = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("threading"):
        return "gevent"
    eventlet: Any = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return "eventlet"
    return ""
