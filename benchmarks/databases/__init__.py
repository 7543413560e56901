"""The databases that are measured on: ``postgresql.py`` and ``sqlite.py``."""

from contextlib import AbstractContextManager

from benchmarks.databases.base import Copy, Costs, Database
from benchmarks.databases.postgresql import postgresql
from benchmarks.databases.sqlite import sqlite

__all__ = ["NAMES", "Copy", "Costs", "Database", "start"]

_STARTERS = {"postgresql": postgresql, "sqlite": sqlite}

NAMES = tuple(_STARTERS)


def start(name: str) -> AbstractContextManager[Database]:
    """A database server, for as long as the block lasts."""
    return _STARTERS[name]()
