"""``manage.py runscheduler``: execute what is due, until a signal says stop."""

import logging
import os
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager, suppress
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError, connections, router

from django_scheduler.executor.errand import run_errand, start_errand
from django_scheduler.executor.executor import Executor
from django_scheduler.executor.lookout import Until
from django_scheduler.management.progress import Progress
from django_scheduler.management.stop_signals import StopSignals
from django_scheduler.models import ScheduledFunction

#: How often the main thread looks for signals and for the end, in seconds.
INTERVAL = 0.1


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

    def check(self, *args: Any, **kwargs: Any) -> None:
        with _refusing_what_is_wrong():  # some of Django's checks ask the database
            super().check(*args, **kwargs)

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
        with StopSignals() as signals:
            with _refusing_what_is_wrong():
                executor = Executor(using=using, concurrency=concurrency, queues=queues, until=until)
                _start(executor, signals)
            show_progress = until is Until.NOTHING_PENDING and self.stderr.isatty()
            _run(executor, signals, grace, Progress(using, queues, self.stderr) if show_progress else None)


@contextmanager
def _refusing_what_is_wrong() -> Iterator[None]:
    try:
        yield
    except (ImproperlyConfigured, ValueError) as error:
        raise CommandError(str(error)) from error
    except (DatabaseError, InterfaceError) as error:
        raise CommandError(
            f"The executor cannot start: {str(error).strip()}. Can its database be reached, and has"
            " `manage.py migrate` been run?"
        ) from error


def _start(executor: Executor, signals: StopSignals) -> None:
    start = start_errand(executor.start)
    while not wait([start], timeout=INTERVAL).done:
        if signals.count > 1:  # a database that does not answer may keep us for minutes
            _exit_at_once()
    start.result()


def _run(executor: Executor, signals: StopSignals, grace: float, progress: Progress | None) -> None:
    deadline = None
    while not executor.wait(timeout=INTERVAL):
        if progress:
            progress.show()
        if deadline is None:
            if signals.count:
                deadline = time.monotonic() + grace
                executor.stop()
        elif signals.count > 1 or time.monotonic() > deadline:
            executor.abandon()
            _exit_at_once()
    if progress:
        progress.finish()


def _exit_at_once() -> None:
    # Threads that are inside a body cannot be stopped. The process can, and its connections with it.
    with suppress(Exception):  # one of those threads may hold the lock of a handler, or nobody read its output
        run_errand(_flush, timeout=INTERVAL)
    os._exit(1)


def _flush() -> None:
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()


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
            raise ArgumentTypeError(f"{text!r} is not a {'whole ' if number is int else ''}number") from None
        if not value > 0:
            raise ArgumentTypeError(f"{text} is not greater than 0")
        return value

    return parse
