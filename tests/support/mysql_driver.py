"""The driver for MariaDB and MySQL: mysqlclient, which users have, or PyMySQL where that cannot be compiled."""

import sys
from importlib.util import find_spec
from pathlib import Path

#: Where ``MySQLdb`` is found if it is found nowhere else.
STAND_INS = str(Path(__file__).parent / "stand_ins")


def find() -> None:
    """Have this process import PyMySQL if mysqlclient is missing."""
    if find_spec("MySQLdb") is None:
        sys.path.append(STAND_INS)
