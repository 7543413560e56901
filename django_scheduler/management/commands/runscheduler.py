"""``manage.py runscheduler`` executes what is due, until a signal says stop, or its time is up."""

import logging
import time
from argparse import ArgumentParser
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError, InterfaceError, connections, router
from django.utils import autoreload

from django_scheduler.databases import database_for, django_internals
from django_scheduler.executor import (
    CUT_OFF,
    Executor,
    StopWhenStuck,
    Until,
    end_process_within,
    log_briefly,
    run_or_end_process,
    run_until_ended,
    start_executor,
    stop_within,
)
from django_scheduler.functions import declared_queues
from django_scheduler.management.arguments import at_least_0, duration, known_database, positive, size_of_memory
from django_scheduler.management.command import SchedulerCommand, refusing_what_is_wrong
from django_scheduler.management.progress import Progress
from django_scheduler.models import Executor as ExecutorOnRecord
from django_scheduler.models import ScheduledFunction
from django_scheduler.scheduling import middleware_chain
from django_scheduler.status import queues_on_record
from django_scheduler.suggestions import nearest, which_there_are
from django_scheduler.supervisor import (
    END_TIMEOUT,
    AliveFile,
    ChildOptions,
    StopSignals,
    Supervisor,
    end_at_next_signal,
)
from django_scheduler.telemetry import show_log


class Command(SchedulerCommand):
    help = (
        "Executes scheduled functions when they are due. The first SIGTERM or SIGINT begins nothing new and lets"
        " running functions end, for as long as --grace says; the second one, or SIGQUIT, stops at once. What is cut"
        " off then: mutations are rolled back and run again, actions are recorded as lost."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--processes",
            type=at_least_0(int),
            metavar="N",
            help="how many processes to keep running, restarting one that dies; 0: execute in this very process,"
            " unattended (default: 1, but 0 with --once, --drain, --for and --reload)",
        )
        parser.add_argument(
            "--concurrency",
            type=positive(int),
            default=8,
            metavar="M",
            help="how many functions each process executes at a time, in as many threads (default: 8)",
        )
        parser.add_argument(
            "--queue",
            action="append",
            default=[],
            dest="queues",
            metavar="NAME",
            help="serve only this queue; may be repeated (default: all queues)",
        )
        parser.add_argument("--database", metavar="ALIAS", help="the database to execute from")
        parser.add_argument(
            "--grace",
            type=positive(float),
            default=30.0,
            metavar="SECONDS",
            help="how long running functions may take to end after the first signal (default: 30)",
        )
        parser.add_argument(
            "--max-functions",
            type=positive(int),
            metavar="N",
            help="replace a process by a new one after it has executed N functions",
        )
        parser.add_argument(
            "--max-memory",
            type=size_of_memory,
            metavar="SIZE",
            help="replace a process by a new one when it uses so much memory, such as 512M or 2G",
        )
        parser.add_argument(
            "--alive-file",
            type=Path,
            metavar="PATH",
            help="touch this file every second while all processes run, for the liveness probe of a container",
        )
        parser.add_argument(
            "--for",
            type=duration,
            dest="stop_after",
            metavar="DURATION",
            help="begin nothing new after this time, such as 50s or 10m; then let running functions end, for as long as"
            " --grace says, and exit. With --drain it may exit earlier",
        )
        until = parser.add_mutually_exclusive_group()
        until.add_argument("--once", action="store_true", help="execute what is due, then exit")
        until.add_argument(
            "--drain",
            action="store_true",
            help="execute until nothing is pending, also what is due later, then exit",
        )
        until.add_argument(
            "--reload", action="store_true", help="start again whenever the code changes, for development"
        )

    #: How many seconds this process may take to end once the command has; ``None``: any time.
    _end_within: float | None = None

    def run_from_argv(self, argv: list[str]) -> None:
        try:
            super().run_from_argv(argv)
        finally:
            if self._end_within is not None:  # functions were executed, and may have left something
                end_at_next_signal(CUT_OFF)
                end_process_within(self._end_within)

    def check(self, *args: Any, **kwargs: Any) -> None:
        with _starting():  # some of Django's checks ask the database
            super().check(*args, **kwargs)

    def handle(
        self,
        *,
        processes: int | None,
        concurrency: int,
        queues: list[str],
        database: str | None,
        grace: float,
        max_functions: int | None,
        max_memory: int | None,
        alive_file: Path | None,
        stop_after: timedelta | None,
        once: bool,
        drain: bool,
        reload: bool,
        verbosity: int,
        **options: Any,
    ) -> None:
        stop_at = None if stop_after is None else time.monotonic() + stop_after.total_seconds()
        using = known_database(database or router.db_for_write(ScheduledFunction))
        until = Until.NOTHING_DUE if once else Until.NOTHING_PENDING if drain else Until.STOPPED
        in_this_process = reload or until is not Until.STOPPED or stop_after is not None
        if processes is None:
            processes = 0 if in_this_process else 1
        _refuse_what_excludes_each_other(
            processes=bool(processes),
            replaced=bool(max_functions or max_memory),
            alive_file=alive_file is not None,
            stop_after=stop_after,
            once=once,
            reload=reload,
        )
        _refuse_open_transaction(using)
        show_log(verbosity)
        _warn_of_unknown(queues, using)
        progress = Progress(using, queues, self.stderr) if drain and self.stderr.isatty() else None
        make_executor = partial(Executor, using=using, concurrency=concurrency, queues=queues, until=until)
        if reload:
            _execute_and_reload(make_executor, grace)
            return
        with _kept_alive(alive_file) as alive:
            if not processes:
                self._execute(make_executor, grace, StopSignals(stop_at), progress, alive)
                return
            child_options = ChildOptions(
                using=using,
                concurrency=concurrency,
                queues=tuple(queues),
                until=until.name,
                grace=grace,
                max_functions=max_functions,
                max_memory=max_memory,
                verbosity=verbosity,
            )
            self._end_within = END_TIMEOUT
            _supervise(child_options, processes, StopSignals(stop_at), progress, alive)

    def _execute(
        self,
        make_executor: Callable[[], Executor],
        grace: float,
        stop_signals: StopSignals,
        progress: Progress | None,
        alive: AliveFile | None,
    ) -> None:
        def show() -> None:
            if progress:
                progress.show()
            if alive:
                alive.touch()

        with stop_signals as signals, _starting():
            executor = make_executor()
            start_executor(executor, signals)
            requests = StopWhenStuck(executor, signals)
            self._end_within = run_until_ended(executor, requests, grace=grace, meanwhile=show)
        if progress:
            progress.finish()
        if requests.is_stuck:
            raise SystemExit(CUT_OFF)


def _refuse_what_excludes_each_other(
    *, processes: bool, replaced: bool, alive_file: bool, stop_after: timedelta | None, once: bool, reload: bool
) -> None:
    """Refuse options that have no meaning together. ``replaced``: whether processes are to be, by new ones."""
    if reload and processes:
        raise CommandError("With --reload everything is executed in one process: leave --processes out.")
    if not processes and replaced:
        raise CommandError("--max-functions and --max-memory need a process that can be replaced: --processes=1.")
    if reload and alive_file:
        raise CommandError("--alive-file is for deployments, where --reload is not used: leave one of them out.")
    if stop_after is not None and (once or reload):
        raise CommandError(f"--for has no meaning with {'--once' if once else '--reload'}: leave one of them out.")
    if stop_after == timedelta(0):
        raise CommandError("--for must be longer than 0s. To execute what is due now, and exit, there is --once.")


def _warn_of_unknown(queues: Collection[str], using: str) -> None:
    """Log which queues nothing declares and nothing on record is in: some of their names may be mistyped.

    A queue may be one that only calls name, with ``options(queue=)``, so this is a warning only where a name looks like
    another one.
    """
    declared = declared_queues()
    unknown = {*queues} - declared
    on_record = _queues_on_record(using) if unknown else set()
    if on_record is None:
        return
    known = sorted(declared | on_record)
    message = (
        "No function and no setting declares the queue %r, and nothing on record is in it, so this executor has"
        " nothing to execute there until a call names it with options(queue=). %s"
    )
    for queue in sorted(unknown - on_record):
        level = logging.WARNING if nearest(queue, known) else logging.INFO
        log_briefly(level, message, queue, which_there_are(queue, known), queue=queue)


def _queues_on_record(using: str) -> set[str] | None:
    """Return the queues on record, or ``None`` if they cannot be read: what is wrong then is said by others."""
    with django_internals.closed_again(connections[using]):
        try:
            return queues_on_record(database_for(using))
        except (DatabaseError, InterfaceError):
            return None


def _execute_and_reload(make_executor: Callable[[], Executor], grace: float) -> None:
    """Execute with Django's autoreload, which here lets running functions end before it starts again."""
    executors: list[Executor] = []
    starting = Lock()

    def start() -> None:
        with starting, _starting():
            executor = make_executor()
            executor.start()
            executors.append(executor)

    try:
        # It calls the function in a thread, and watches files in this one. It ends by an exception, here, and the
        # process above starts it again, or ends for good.
        autoreload.run_with_reloader(start)
    finally:
        # An executor that is only starting would leave its row behind.
        if starting.acquire(timeout=grace):
            starting.release()
        for executor in executors:
            stop_within(executor, grace)


@contextmanager
def _kept_alive(path: Path | None) -> Iterator[AliveFile | None]:
    """Make the alive file, and remove it at the end."""
    if path is None:
        yield None
        return
    try:
        alive = AliveFile(path)
    except OSError as error:
        raise CommandError(f"The alive file {path} cannot be written: {error}.") from error
    try:
        yield alive
    finally:
        alive.remove()


def _supervise(
    child_options: ChildOptions,
    processes: int,
    stop_signals: StopSignals,
    progress: Progress | None,
    alive: AliveFile | None,
) -> None:
    with stop_signals as signals:
        with _starting():
            middleware_chain.make_chain()
            supervisor = Supervisor(child_options, processes=processes, alive_file=alive)
            _try_database(child_options.using, signals)
        ended_well = supervisor.run(signals, meanwhile=progress.show if progress else None)
    if progress:
        progress.finish()
    if not ended_well:
        raise SystemExit(CUT_OFF)


def _try_database(using: str, signals: StopSignals) -> None:
    """Raise the database's error if it cannot be reached, or is not migrated: better here than in every process."""

    def look() -> None:
        for model in (ScheduledFunction, ExecutorOnRecord):
            model._default_manager.using(using).first()

    run_or_end_process(look, lambda: signals.count > 0)


def _refuse_open_transaction(using: str) -> None:
    """Refuse to wait for what can never be seen: an executor has connections of its own."""
    if django_internals.is_in_transaction(connections[using]):
        raise CommandError(
            f"runscheduler cannot see what the transaction has written that is open on {using!r}, because it executes"
            " on connections of its own. In a TestCase, execute with django_scheduler.testing (the fixture scheduler,"
            " or SchedulerTestMixin), or make it a TransactionTestCase."
        )


@contextmanager
def _starting() -> Iterator[None]:
    """Turn what keeps an executor from starting into a ``CommandError``."""
    with refusing_what_is_wrong("The executor cannot start"):
        try:
            yield
        except ValueError as error:
            raise CommandError(str(error)) from error
