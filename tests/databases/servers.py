"""Database servers of a test's own, which it may stop, and start again."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import pytest
from django.db import connections
from environ import Env

from django_scheduler import ctx
from django_scheduler.databases import database_for
from django_scheduler.models import Executor, ScheduledFunction, State
from tests.models import Entry
from tests.support.databases import throwaway_postgresql, version
from tests.support.executor_processes import STARTED, ExecutorProcess, ExecutorProcesses
from tests.support.forked_processes import run
from tests.support.pgbouncer import free_port
from tests.support.waiting import wait_until

ALIAS = "own"


class Server(Protocol):
    url: str

    def start(self) -> None: ...
    def stop(self) -> None: ...


class PostgreSQLServer:
    def __init__(self, server: Any) -> None:
        self._server = server
        self.url: str = server.get_uri()

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        self._server.stop()


class MariaDBServer:
    def __init__(self, program: str, directory: Path) -> None:
        self._port = free_port()
        self.url = f"mysql://root@127.0.0.1:{self._port}/test"
        self._command = [
            program,
            "--no-defaults",
            f"--user={'root' if os.geteuid() == 0 else ''}",
            f"--datadir={directory / 'data'}",
            # A server that starts deletes the temporary tables that it finds there: those of the one under test, too.
            f"--tmpdir={directory}",
            f"--socket={directory / 'socket'}",
            f"--pid-file={directory / 'pid'}",
            f"--port={self._port}",
            "--bind-address=127.0.0.1",
            "--skip-grant-tables",
            "--skip-networking=0",
            "--innodb-flush-log-at-trx-commit=0",
        ]
        self._log = directory / "log"

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        wait_until(self._answers, "MariaDB answered", timeout=40)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(40)

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        try:
            version(self.url.replace("/test", "/information_schema"))
        except Exception:
            return False
        return True


@contextmanager
def own_postgresql() -> Iterator[Server]:
    with throwaway_postgresql() as server:
        yield PostgreSQLServer(server)


@contextmanager
def own_mariadb() -> Iterator[Server]:
    program, install = shutil.which("mariadbd"), shutil.which("mariadb-install-db")
    if not (program and install):
        pytest.skip("mariadbd is not installed, so there is no MariaDB to restart")
    with TemporaryDirectory(prefix="django_scheduler_") as name:
        directory = Path(name)
        subprocess.run(
            [
                install,
                "--no-defaults",
                *(["--user=root"] if os.geteuid() == 0 else []),
                f"--datadir={directory / 'data'}",
                f"--tmpdir={directory}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
            check=True,
            capture_output=True,
        )
        server = MariaDBServer(program, directory)
        try:
            server.start()
            with connected(server.url.replace("/test", "/information_schema")), connections[ALIAS].cursor() as cursor:
                cursor.execute("CREATE DATABASE test CHARACTER SET utf8mb4")
            yield server
        finally:
            server.stop()


@contextmanager
def connected(url: str) -> Iterator[None]:
    """Have the alias ``own`` be the database of that URL within the block."""
    connections.settings[ALIAS] = connections.configure_settings({"default": {}, ALIAS: Env.db_url_config(url)})[ALIAS]
    database_for.cache_clear()
    try:
        yield
    finally:
        connections[ALIAS].close()
        del connections[ALIAS]
        del connections.settings[ALIAS]
        database_for.cache_clear()


class OwnDatabase:
    """Is the tables in a server of one's own, and executors that work on them: through another URL if need be."""

    def __init__(self, server: Server, environment: dict[str, str], directory: Path) -> None:
        self.server = server
        self._environment = dict(environment)
        self._executors = ExecutorProcesses(self._environment, directory)
        migrate = ["-m", "django", "migrate", "--run-syncdb", "--verbosity=0"]
        run(migrate, {**environment, "DATABASE_URL": server.url}).check_returncode()

    def start_executor(self, *arguments: str, **options: Any) -> ExecutorProcess:
        """Start one, and wait until it executes.

        Again and again, as an operator does: on a busy machine even the first answer may come too late for it.
        """
        for _ in range(3):
            executor = self.launch_executor(*arguments, **options)
            wait_until(lambda: STARTED.search(executor.log) or not executor.is_running, "the executor started")  # noqa: B023
            if executor.is_running:
                break
            assert "The executor cannot start: " in executor.log, executor.log
        executor.wait_until_started()
        return executor

    def launch_executor(
        self, *arguments: str, url: str = "", constants: dict[str, Any] | None = None, **settings: Any
    ) -> ExecutorProcess:
        self._environment["DATABASE_URL"] = url or self.server.url
        self._environment["TEST_CONSTANTS"] = json.dumps(constants or {})
        return self._executors.launch(*arguments, **settings)

    def schedule(self, function: Any, **arguments: Any) -> int:
        return ctx.scheduler.using(ALIAS).run_after(0, function, **arguments)

    def is_done(self, function_id: int) -> bool:
        return ScheduledFunction.objects.using(ALIAS).get(pk=function_id).state == State.SUCCESS

    def assert_it_works(self) -> None:
        function_id = self.schedule("tests:write", label="works")
        wait_until(lambda: self.is_done(function_id), "it worked")
        assert Entry.objects.using(ALIAS).filter(function_id=function_id).count() == 1

    def clear(self) -> None:
        """Leave nothing to the next test. Fail if executors still ran."""
        left = self._executors.end_all()
        for model in (ScheduledFunction, Executor, Entry):
            model._default_manager.using(ALIAS).all().delete()
        if left:
            pytest.fail(f"The test has left behind: {', '.join(left)}.")
