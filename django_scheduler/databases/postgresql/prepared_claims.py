"""The claim of one function is prepared on the server before its time, because planning takes longer than executing it.

(0.25 ms instead of 0.52, in a session that has been idle.) It is the claim of a function that a wake-up has named, or
of the first one of a lane whose time has come. The second also says what follows in that lane, so that no look is
needed before the next claim.

* The session has to be ours. Behind a pooler in transaction mode a statement is prepared in a session that somebody
  else has by then. There are poolers where a session does not have the process id that the client was given
  (``listening.py``); then nothing is prepared.
* The plan is made once, as of the sixth time, and used from then on. It suits the size of the table then: a small
  table is read from one end to the other. The server makes it anew when it has new statistics, perhaps a minute after
  the table has grown. So a claim that takes long is prepared anew.
* What is due later is claimed a moment before its time, and the claim waits until it has come: the way to the row takes
  as long as that. Its time comes by the clock of the database, which the statement reads at its end.
* A body can change nothing of it unseen: the session whose statements somebody may have discarded is replaced.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum, auto
from typing import Any
from weakref import WeakKeyDictionary

from django_scheduler.databases import django_internals
from django_scheduler.databases.claiming import is_paused
from django_scheduler.databases.queries import Database
from django_scheduler.databases.rows import TABLE, Claimable, Lane, Wanted
from django_scheduler.databases.sql import Sql, uses_pythons_clock

#: The names of the statements.
CLAIM = "django_scheduler_claim"
CLAIM_AHEAD = "django_scheduler_claim_ahead"

#: So often the server makes a plan for the values that it is given, before it makes one for all.
UNTIL_PLANNED = 6

#: A claim that took longer, in seconds, is prepared anew.
LONG_CLAIM = 0.01

#: How long before its time a function is claimed that is due later, and may be claimed by the statement, in seconds.
AHEAD, MOST_AHEAD = 0.0012, 0.003


class Claims(Enum):
    """Says what has become of the statements of a session."""

    #: It cannot have any.
    IMPOSSIBLE = auto()
    PREPARED = auto()
    #: Their plans may suit a table that was smaller.
    OUTDATED = auto()


class PreparedClaims(Database):
    """Claims single functions by prepared statements, once the session is ready for that."""

    def __init__(self, using: str) -> None:
        super().__init__(using)
        #: By the driver's connection, which another thread may be given.
        self._claims: WeakKeyDictionary[Any, Claims] = WeakKeyDictionary()

    def expect_claim(self) -> float:
        session = self.session()
        if session is None or uses_pythons_clock():
            return 0.0
        if self._claims.get(session, Claims.OUTDATED) is Claims.OUTDATED:
            self._prepare(session)
        return AHEAD if self._claims[session] is Claims.PREPARED else 0.0

    def _prepare(self, session: Any) -> None:
        statements = [f"DEALLOCATE {CLAIM}; DEALLOCATE {CLAIM_AHEAD}"] if session in self._claims else []
        statements += [f"PREPARE {CLAIM} (bigint, text) AS {self._claim_now()}"]
        statements += [f"PREPARE {CLAIM_AHEAD} (bigint, text, integer, text) AS {self._claim_ahead()}"]
        statements += [f"EXECUTE {CLAIM} (0, ''); EXECUTE {CLAIM_AHEAD} (0, '', 0, '')"] * UNTIL_PLANNED
        is_new, self._claims[session] = session not in self._claims, Claims.IMPOSSIBLE
        features: Any = self.connection.features
        with django_internals.leaving_nothing(self.connection), self.connection.cursor() as cursor:
            # Bound by the server (``OPTIONS["server_side_binding"]``), EXECUTE takes no parameters.
            if features.uses_server_side_binding or (is_new and not _is_own(session, cursor)):
                return
            cursor.execute("; ".join(statements))
        self._claims[session] = Claims.PREPARED

    def _claim_first(self, lane: Lane, wanted: Wanted) -> list[Claimable] | None:
        session = self.session()
        is_special = wanted.unhealthy is not None or wanted.left is not None or uses_pythons_clock()
        if is_special or self._claims.get(session) is not Claims.PREPARED:
            return None
        if lane.first_id in wanted.besides:
            return []
        began = time.monotonic()
        with django_internals.leaving_nothing(self.connection), self.connection.cursor() as cursor:
            if lane.due_time is None:
                cursor.execute(f"EXECUTE {CLAIM} (%s, %s)", (lane.first_id, lane.queue))
                claimed = [self._claimable(row) for row in cursor.fetchall()]
            else:
                cursor.execute(f"EXECUTE {CLAIM_AHEAD} (%s, %s, %s, %s)", (lane.first_id, *lane.key))
                claimed = [self._claimed_ahead(row, lane) for row in cursor.fetchall()]
        if time.monotonic() - began > LONG_CLAIM:
            self._claims[session] = Claims.OUTDATED
        return claimed

    def _claimed_ahead(self, row: Sequence[Any], lane: Lane) -> Claimable:
        """Wait until the time of the function has come."""
        *claim, wait, follower_id, follower_time = row
        claimed = self._claimable(claim)
        followers: tuple[Lane, ...] = ()
        if follower_id is not None:
            due_time = self._as_taken(follower_time)
            due_in = self.elapsed(claimed.claim_time, due_time).total_seconds()
            followers = (replace(lane, due_in=due_in, due_time=due_time, first_id=follower_id),)
        time.sleep(min(max(0.0, wait), MOST_AHEAD))  # the server's clock may have been put back meanwhile
        claim_time = max(claimed.claim_time, claimed.due_time)
        return claimed._replace(claim_time=claim_time, due_in=min(0.0, claimed.due_in), followers=followers)

    def _claim_now(self) -> str:
        return self._claim_of_one(self.clock)

    def _claim_ahead(self) -> str:
        own = f"{TABLE}.due_time"
        return self._claim_of_one(
            f"{self.clock} + INTERVAL '{MOST_AHEAD * 1000:g} milliseconds'",
            f", EXTRACT(EPOCH FROM {own} - CLOCK_TIMESTAMP())::float8, follower_id, {self._time('follower_time')}",
            f" LEFT JOIN LATERAL (SELECT later.id AS follower_id, later.due_time AS follower_time FROM {TABLE} later"
            " WHERE later.state = 'pending' AND later.queue = $2 AND later.priority = $3 AND later.tenant = $4"
            f" AND (later.due_time, later.id) > ({own}, {TABLE}.id)"
            " ORDER BY later.due_time, later.id LIMIT 1) AS follower ON true",
        )

    def _claim_of_one(self, until: str, columns: str = "", joined: str = "") -> str:
        state = f"{self.state_of_chosen.format('state')} = 'pending'"
        chosen = f"id = $1 AND {state} AND due_time <= {until} AND NOT {is_paused('$2')}"
        return self._locking(Sql(f"{TABLE}{joined} WHERE {chosen} {self.skip_locked}"), columns).text


def _is_own(session: Any, cursor: Any) -> bool:
    """Return whether nobody else is given what is prepared in this session."""
    cursor.execute("SELECT pg_backend_pid()")
    return bool(cursor.fetchone() == (session.info.backend_pid,))
