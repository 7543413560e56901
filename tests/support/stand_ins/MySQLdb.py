"""What is imported in place of mysqlclient where that is missing: PyMySQL, which calls itself so from now on."""

from typing import Any

import pymysql

GONE_AWAY = 2006

close_open = pymysql.Connection.close


def close(connection: Any) -> None:
    """Close the connection; raise what mysqlclient does if it is closed."""
    if connection._closed:
        raise pymysql.OperationalError(GONE_AWAY, "")
    close_open(connection)


pymysql.Connection.close = close
pymysql.install_as_MySQLdb()
