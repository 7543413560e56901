"""``manage.py runscheduler``: execute what is due, until a signal says stop."""

import logging
import os
import signal
import sys
import threading
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError, connections, router

from django_scheduler.executor.executor import Executor
from django_scheduler.executor.lookout import Until
from django_scheduler.management.progress import Progress
from django_scheduler.models import ScheduledFunction

#: How often the main thread looks for signals and for the end, in seconds.
INTERVAL = 0.1

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Command(BaseCommand):
    help = (
        "Executes scheduled functions when they are due. The first SIGTERM or SIGINT begins nothing new and lets"
        " running functions end, for as long as --grace says; the second one stops at once. What is cut off then:"
        " mutations vanish and run again, actions are recorded as lost."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--concurrency",
            type=_positive(int),
            default=8,
            metavar="M",
            help="how many functions to execute at a time, in as many threads (default: 8)",
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
            type=_positive(float),
            default=30.0,
            metavar="SECONDS",
            help="how long running functions may take to end after the first signal (default: 30)",
        )
        until = parser.add_mutually_exclusive_group()
        until.add_argument(
            "--once",
            action="store_const",
            dest="until",
            const=Until.NOTHING_DUE,
            default=Until.STOPPED,
            help="execute what is due, then exit",
        )
        until.add_argument(
            "--drain",
            action="store_const",
            dest="until",
            const=Until.NOTHING_PENDING,
            help="execute until nothing is pending, also what is due later, then exit",
        )

    def handle(
        self,
        *,
        concurrency: int,
        queues: list[str],
        database: str | None,
        grace: float,
        until: Until,
        verbosity: int,
        **options: Any,
    ) -> None:
        using = database or router.db_for_write(ScheduledFunction)
        if using not in connections:
            raise CommandError(f"There is no database {using!r} in DATABASES. There are: {', '.join(connections)}.")
        _make_log_visible(verbosity)
        try:
            executor = Executor(using=using, concurrency=concurrency, queues=queues, until=until)
            executor.start()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(
                f"The executor cannot start on the database {using!r}: {error}. Can it be reached, and has"
                " `manage.py migrate` been run?"
            ) from error
        progress = Progress(using, self.stderr) if until is Until.NOTHING_PENDING and self.stderr.isatty() else None
        with _counted_signals() as signals:
            self._run(executor, signals, grace, progress)

    def _run(self, executor: Executor, signals: list[int], grace: float, progress: Progress | None) -> None:
        deadline = None
        while not executor.wait(timeout=INTERVAL):
            if progress:
                progress.show()
            if signals and deadline is None:
                deadline = time.monotonic() + grace
                executor.stop()
            if deadline is not None and (len(signals) > 1 or time.monotonic() > deadline):
                executor.abandon()
                _exit_at_once()
        if progress:
            progress.finish()


@contextmanager
def _counted_signals() -> Iterator[list[int]]:
    """The signals that have asked to stop; only the main thread is given any."""
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {number: signal.signal(number, receive) for number in STOP_SIGNALS}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit_at_once() -> None:
    # Threads that are inside a body cannot be stopped. The process can, and its connections with it.
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _make_log_visible(verbosity: int) -> None:
    """Without any logging configuration, a line per finished function still goes to standard error."""
    logger = logging.getLogger("django_scheduler")
    if verbosity and not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


def _positive(number: type[int] | type[float]) -> Any:
    def parse(text: str) -> float:
        try:
            value = number(text)
        except ValueError:
            raise ArgumentTypeError(f"{text!r} is not a number") from None
        if not value > 0:
            raise ArgumentTypeError(f"{text} is not greater than 0")
        return value

    return parse
