"""SQLite: one file for each copy."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.databases.base import BUSINESS, Copy, Costs, Database
from benchmarks.databases.disk import sync_time


class SQLiteCopy(Copy):
    def __init__(self, path: Path) -> None:
        self._path = path
        self.environment = {"BENCH_DATABASE": "sqlite", "BENCH_SQLITE": str(path)}

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()

    def effects(self) -> int:
        return int(self.execute("SELECT count(*) FROM effect")[0][0])

    def effects_by_job(self) -> dict[int, int]:
        return dict(self.execute("SELECT job, count(*) FROM effect GROUP BY job"))

    def multiply_rows(self, table: str, due: str, count: int, *, ahead: float) -> None:
        raise NotImplementedError("No workload asks for it.")

    def snapshot(self) -> AbstractContextManager[None]:
        raise NotImplementedError("No workload asks for it.")

    def counting(self) -> AbstractContextManager[list[Costs]]:
        raise NotImplementedError("SQLite does not count.")


class SQLite(Database):
    name = "sqlite"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        settings = "journal_mode = WAL, synchronous = FULL, BEGIN IMMEDIATE"
        self.description = f"SQLite {sqlite3.sqlite_version} ({settings}); fsync takes {sync_time(directory):.2f} ms"

    def create(self, name: str) -> SQLiteCopy:
        self._remove(name)
        copy = SQLiteCopy(self._directory / name)
        copy.execute("PRAGMA journal_mode = WAL")
        for table, columns in BUSINESS.items():
            copy.execute(f"CREATE TABLE {table} (id integer PRIMARY KEY AUTOINCREMENT, {columns})")
        return copy

    @contextmanager
    def copy(self, original: str, name: str) -> Iterator[SQLiteCopy]:
        self._remove(name)
        for path in self._directory.glob(f"{original}*"):
            # A file, its log, and what a contender has put beside them.
            shutil.copy(path, path.with_name(path.name.replace(original, name, 1)))
        try:
            yield SQLiteCopy(self._directory / name)
        finally:
            self._remove(name)

    def _remove(self, name: str) -> None:
        for path in self._directory.glob(f"{name}*"):
            path.unlink()


@contextmanager
def sqlite() -> Iterator[Database]:
    """A directory of files."""
    with TemporaryDirectory(prefix="django_scheduler_") as directory:
        yield SQLite(Path(directory))
