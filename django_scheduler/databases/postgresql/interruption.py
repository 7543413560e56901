"""Interruption: a cancel takes the lock of a row whose mutation is executing, without waiting for its end.

A locked row names the transaction that holds it in ``xmax``, alone or, where others share the row (they insert one
of their own that refers to it), as one of the members of a multixact. ``pg_stat_activity`` knows the session of
that transaction, and by its name whether it executes a function: a claim names its session ``EXECUTING`` until
the transaction ends. So nobody else is interrupted, but for the moment that ``_interrupt`` describes: not a request
that cancels the same function, which another cancel waits for, and not an action, whose body runs after the transaction
of its claim. (A mutation that has locked the row of another one by itself is taken for its executor, is rolled back,
and runs again.)

* What is held for a moment only, as by the claim of an action, or a mutation that is just about to commit, is not
  worth an interruption: we wait for that moment first.
* Its session is ended, which takes milliseconds, also if the body is between two statements. To cancel its statement
  would be an error that cannot be told from the site's own ``statement_timeout``: it has the same code, and a text in
  the language of the server.
* The interrupted transaction has vanished, and its row is pending again: another executor may claim it before us.
  Then that one is interrupted. Should the first one, recording its retry, come before us, the row is just newer.
* There is no executor to interrupt: then we wait as for any lock, with the caller's time limits, and each time for long
  enough that the database notices a deadlock. Afterwards there may be an executor to interrupt.

Where the executors' sessions belong to a role that ours may not signal (it is a member neither of that role nor of
``pg_signal_backend``, or only that role is a superuser), nothing is interrupted, and a cancel waits for the mutation's
end, as on other databases.
"""

import time
from collections.abc import Collection
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError, connections, transaction

from django_scheduler.databases.rows import TABLE

#: How a session calls itself while a transaction of it executes a function.
EXECUTING = "django_scheduler executing"

#: How it calls itself instead if that function has a limit. It is not interrupted: its body might go on for a while
#: when its transaction, and with it the slot of the limit, has gone, and another body would begin beside it.
EXECUTING_LIMITED = "django_scheduler executing limited"

#: How long a lock may be held before its holder is interrupted (again).
MILLISECONDS_BEFORE_INTERRUPTION = 50

LOCK = "FOR NO KEY UPDATE"
LOCK_NOT_AVAILABLE = "55P03"

#: What an interrupted session is told.
INTERRUPTED = "57P01"

# Whether a transaction id may be read as that of a multixact can only be told from the range of those: the two
# are counted apart, and asking for the members of one that does not exist is an error. So is signaling a session of a
# role that ours may not signal.
INTERRUPT = f"""
    SELECT pg_terminate_backend(holder.pid)
    FROM (
        SELECT DISTINCT session.pid
        FROM (SELECT xmax FROM {TABLE} WHERE id = %s) held
        CROSS JOIN LATERAL (
            SELECT held.xmax AS xid
            UNION ALL
            SELECT member.xid FROM pg_get_multixact_members(
                CASE WHEN mxid_age(held.xmax) BETWEEN 1 AND (SELECT max(mxid_age(datminmxid)) FROM pg_database)
                THEN held.xmax END
            ) member WHERE member.mode IN ('fornokeyupd', 'nokeyupd')
        ) locker
        JOIN pg_stat_activity session ON session.backend_xid = locker.xid
        JOIN pg_roles role ON role.oid = session.usesysid
        WHERE session.application_name = %s AND session.pid <> pg_backend_pid()
        AND (pg_has_role(role.oid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))
        AND (NOT role.rolsuper OR current_setting('is_superuser') = 'on')
    ) holder
"""


def lock_rows(using: str, ids: Collection[int]) -> None:
    """Lock those of the rows that exist, until the end of the open transaction.

    Raises the database's error if somebody who is not to be interrupted holds one for longer than the caller's
    session waits for locks.
    """
    interruption: Interruption | None = None
    remaining = sorted(ids)
    while held := _lock_unless_held(using, remaining):
        # In ascending order, so that two who lock many rows do not wait for each other.
        first = held[0]
        if _lock_unless_held(using, [each for each in remaining if each < first]):
            continue
        interruption = interruption or Interruption(using)
        interruption.lock(first)
        remaining = [each for each in remaining if each > first]


def _lock_unless_held(using: str, ids: list[int]) -> list[int]:
    """Lock the rows if nobody else holds one of them, or else none, and return the ids of those that are held."""
    if not ids:
        return []
    chosen = f"SELECT id FROM {TABLE} WHERE id = ANY(%s::bigint[])"
    with (
        transaction.atomic(using=using, savepoint=len(ids) > 1),
        connections[using].cursor() as cursor,
    ):
        cursor.execute(f"{chosen} {LOCK} SKIP LOCKED", [ids])
        others = set(ids) - {row[0] for row in cursor.fetchall()}
        if not others:
            return []
        cursor.execute(f"{chosen} ORDER BY id", [list(others)])
        held = [row[0] for row in cursor.fetchall()]
        if held and len(ids) > 1:
            transaction.set_rollback(True, using=using)
        return held


class Interruption:
    """Interrupts the executors of the functions whose rows a cancel wants to lock."""

    def __init__(self, using: str) -> None:
        self._using = using
        with connections[using].cursor() as cursor:
            cursor.execute(
                "SELECT setting FROM pg_settings"
                " WHERE name IN ('deadlock_timeout', 'lock_timeout', 'statement_timeout') ORDER BY name"
            )
            self._deadlock_timeout, self._lock_timeout, statement_timeout = (int(row[0]) for row in cursor.fetchall())
        self._time_limit = min(filter(None, (self._lock_timeout, statement_timeout)), default=None)
        self._began = time.monotonic()

    def lock(self, function_id: int) -> None:
        """Lock the row, and interrupt the executor that holds it until that is possible."""
        while not self._lock_in_time(function_id):
            pass

    def _lock_in_time(self, function_id: int) -> bool:
        lock_timeout = MILLISECONDS_BEFORE_INTERRUPTION
        waits_for_others = False
        try:
            with transaction.atomic(using=self._using), connections[self._using].cursor() as cursor:
                if self._elapsed() >= MILLISECONDS_BEFORE_INTERRUPTION and not self._interrupt(cursor, function_id):
                    lock_timeout = self._lock_timeout_with_others()
                    waits_for_others = True
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(lock_timeout)])
                cursor.execute(f"SELECT 1 FROM {TABLE} WHERE id = %s {LOCK}", [function_id])
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(self._lock_timeout)])
        except OperationalError as error:
            if sqlstate(error) != LOCK_NOT_AVAILABLE or (waits_for_others and self._is_time_up()):
                raise
            return False
        return True

    def _interrupt(self, cursor: Any, function_id: int) -> bool:
        """Interrupt the session that executes the function, and return whether there was one."""
        # Within a transaction the activity of all sessions is otherwise what it was when it was first asked for.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        # The moment between finding a session and signaling it cannot be made to vanish. Were its transaction
        # to end within it, the session's next mutation would be hit, and retried.
        cursor.execute(INTERRUPT, [function_id, EXECUTING])
        return bool(cursor.fetchall())

    def _lock_timeout_with_others(self) -> int:
        until_deadlocks_are_noticed = self._deadlock_timeout + 1000
        if self._time_limit is None:
            return until_deadlocks_are_noticed
        return max(1, min(until_deadlocks_are_noticed, self._time_limit - self._elapsed()))

    def _is_time_up(self) -> bool:
        return self._time_limit is not None and self._elapsed() >= self._time_limit

    def _elapsed(self) -> int:
        return int((time.monotonic() - self._began) * 1000)


def sqlstate(error: BaseException) -> str | None:
    """Return the code of an error that the server has reported, or ``None`` for the driver's own."""
    cause = error.__cause__ if isinstance(error, DatabaseError | InterfaceError) else None
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
