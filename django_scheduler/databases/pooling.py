"""PostgreSQL: whether a connection has a session of its own, in which a LISTEN would last.

Behind PgBouncer in transaction mode it has a server's session for the time of a transaction only. LISTEN is no error
there: it listens in the session of somebody else, and nothing ever arrives. So it is tried: listen on a channel that
nobody else knows, have another connection notify it, and wait while no transaction is open. To be tried only where
there is a pooler at all: it gives its clients process ids that are not those of the server's sessions.
"""

import selectors
import uuid
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

#: How long a notification may take, in seconds.
PATIENCE = 1.0


def shares_sessions(using: str, connection: BaseDatabaseWrapper) -> bool:
    """Whether what ``connection`` listens for is not heard."""
    driver: Any = connection.connection
    channel = f"django_scheduler_{uuid.uuid4().hex}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        if cursor.fetchone() == (driver.info.backend_pid,):
            return False
        cursor.execute(f"LISTEN {channel}")
    other = connections.create_connection(using)
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [channel])
    finally:
        other.close()
    with selectors.DefaultSelector() as selector:
        selector.register(driver.fileno(), selectors.EVENT_READ)
        if not selector.select(PATIENCE):
            return True
    with connection.cursor() as cursor:
        cursor.execute(f"UNLISTEN {channel}")
    return False
