"""The driver for MariaDB and MySQL: mysqlclient, which users have, or PyMySQL where that cannot be compiled."""

from importlib.util import find_spec
from typing import Any

GONE_AWAY = 2006


def find() -> None:
    """Have Django use PyMySQL if mysqlclient is missing."""
    if find_spec("MySQLdb") is None:
        import pymysql

        close_open = pymysql.Connection.close

        def close(connection: Any) -> None:
            """Close it, and say of a closed one what mysqlclient says."""
            if connection._closed:
                raise pymysql.OperationalError(GONE_AWAY, "")
            close_open(connection)

        pymysql.Connection.close = close
        pymysql.install_as_MySQLdb()
