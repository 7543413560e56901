"""Keys: of the calls of a function that have the same key, at most one waits.

The invariant: a call with a key is followed by a start of the body, after the call has committed, unless what waits is
canceled or expires. So a call is never taken in by a function that has begun, whatever becomes of that one. And among
the functions that were inserted with one key, at most one waits that nobody has ever claimed, canceled or moved.

**The key's row** (``models.Key``) refers to the function that was inserted with the key last. Whoever schedules with
the key locks this row until the transaction ends, so calls with one key come one after the other. Executors never touch
it, and a claim does not ask for keys at all.

**Under that lock, the function's row is taken with SKIP LOCKED**, on the condition that it is pending, has no attempt
and has not expired. Taken, it waits: nobody can begin it before the caller has committed. ``existing="keep"`` leaves it
as it is, ``existing="replace"`` has it take over everything of the new call but its id, ``scheduled_time`` and
``creation_time``. Not taken, it has begun or ended: a new row is inserted, and the key refers to that one from then on.
The caller does not wait for the body. A row is also locked by a group that does not come to it, and while somebody
cancels or moves it in a transaction that is still open. Then a new row is inserted as well, because who has locked it
may begin or cancel it, and both may run. Waiting would be worse: for an executor it could take as long as a body.

What the transaction itself has locked is not skipped:

* A mutation that schedules with the key that it was scheduled with itself: it has begun, and it knows its own id.
* Members of a group share a transaction, so one may find the key of another one, which has begun or has been read. The
  group ends before anything is changed, and each of them runs alone.

**Not before the rollback is on record.** A mutation that has raised is rolled back first, which drops its lock, and
``failed`` is recorded after that, in another transaction. A call that comes in between finds a row that waits, rightly,
because nothing of the attempt remains. So each call that is taken in counts in the row (``absorbed``), and what comes
of an attempt is recorded only if that number is what the claim has read. If not, the record is dropped: the function
waits for the new call, and begins once more. (A supervisor that counts a crash does not ask for it. It makes the
function due at once, which may be earlier than the new call has asked for, and never fails one that has no attempts.)

**Retries and the others.** A function that has begun holds no key, also while it waits for a retry: its ``attempts``
say so. Where a whole process is gone with the transaction, nothing says so: the function waits as before, and takes in
the next call, unless one has come meanwhile. Functions that are run again, crons and callbacks carry no key.

**Nothing is unique among functions.** So no retry, no claim and nobody who runs a function again can collide with
another one that waits, as where a unique index stands for the key (procrastinate#1446, #1543; riverui#622; oban#1416;
pg-boss#535).

**One lock order.** Calls of one transaction take their keys in the order in which they are made, those of one ``_many``
in the order of the keys. Nobody waits for a function's row (SKIP LOCKED), so only keys can be waited for in a circle.
``ctx.run_mutation`` repeats the one that the database stops; so does ``in_transaction`` for a call outside of any.

**A renamed function** has more than one name, and old code that still runs knows only the old one. A call locks the key
under each of its names, and has all of them refer to the same function.

The databases:

* PostgreSQL: ``INSERT … ON CONFLICT DO UPDATE`` inserts the key's row or locks it, and returns what was committed last.
  The next statement sees what was committed before it, under READ COMMITTED. Under REPEATABLE READ what somebody else
  has changed since the snapshot is a serialization failure.
* MariaDB and MySQL: ``INSERT … ON DUPLICATE KEY UPDATE`` takes the exclusive lock in the primary key, where a row that
  is there is locked without the gap before it. Reads that lock see what was committed last, under every level.
* SQLite: its one writer is the lock. The first statement writes, so it waits for other writers, and begins with what
  they have committed. In a transaction that has read before, SQLite refuses it if somebody has written since, as it
  refuses every write then. An executing mutation is a writer, so there a caller waits for its body.

**Deletion.** A key's row whose function has ended means nothing any more. Retention deletes it if nobody has locked it
(``record/retention.py``). Who waits for the lock of a row that is deleted inserts it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from django.db import connections

from django_scheduler.databases import Database, KeyHolder, NewRows, database_for, django_internals, portions
from django_scheduler.functions import AnyFunction
from django_scheduler.models import ScheduledFunctionId
from django_scheduler.record import transitions
from django_scheduler.scheduling.running import Running


class Keyed(NamedTuple):
    """Says what became of calls with keys."""

    #: The function of each call, in their order.
    ids: list[ScheduledFunctionId]
    inserted: list[ScheduledFunctionId]
    replaced: list[ScheduledFunctionId]
    #: When the first one is due of those that stay as they are.
    due_time: datetime | None


def schedule(
    using: str,
    caller: Running | None,
    function: AnyFunction,
    rows: NewRows,
    arguments: Sequence[str],
    keys: Sequence[str],
    *,
    replaces: bool,
    max_wait: timedelta | None,
) -> Keyed:
    """Schedule a call with each of the arguments and its key, as part of the open transaction.

    Of calls with the same key the later ones find what the earlier ones have left.
    """
    database = database_for(using)
    positions: dict[str, list[int]] = {}
    for position, key in enumerate(keys):
        positions.setdefault(key, []).append(position)
    names = {key: [f"{name} {key}" for name in function.names] for key in positions}
    holders = _lock_keys(database, [name for each in names.values() for name in each])
    waiting = _take(database, caller, {holder for holder in holders.values() if holder is not None})

    ids: dict[str, ScheduledFunctionId] = {}
    replaced: list[ScheduledFunctionId] = []
    kept: list[KeyHolder] = []
    missing: list[str] = []
    for key in positions:
        found = next((waiting[holder] for name in names[key] if (holder := holders[name]) and holder in waiting), None)
        if found is None:
            missing.append(key)
            continue
        ids[key] = found.id
        if replaces:
            _replace(database, function, found, rows, arguments[positions[key][-1]], max_wait)
            replaced.append(found.id)
        else:
            kept.append(found)
    if kept:
        _keep(database, kept)

    inserted: list[ScheduledFunctionId] = []
    if missing:
        rows.due = _due_of_first(database, rows.time, max_wait)
        chosen = [arguments[positions[key][-1 if replaces else 0]] for key in missing]
        inserted = _insert(database, rows, chosen, missing)
        ids.update(zip(missing, inserted, strict=True))
    changed = [(name, ids[key]) for key in positions for name in names[key] if holders[name] != ids[key]]
    for portion in portions(sorted(changed)):
        database.refer_keys(dict(portion))
    return Keyed([ids[key] for key in keys], inserted, replaced, min((each.due_time for each in kept), default=None))


def _lock_keys(database: Database, names: list[str]) -> dict[str, ScheduledFunctionId | None]:
    """Lock the rows of these keys in one order, and return to whom they refer."""
    holders: dict[str, ScheduledFunctionId | None] = {}
    for portion in portions(sorted(names)):
        holders |= database.lock_keys(portion)
    return holders


def _take(
    database: Database, caller: Running | None, holders: set[ScheduledFunctionId]
) -> dict[ScheduledFunctionId, KeyHolder]:
    """Lock those of the functions that wait, and pass over those that have begun."""
    if caller is not None and caller.using == database.using:
        holders = {holder for holder in holders if holder != caller.function_id}
        if not holders.isdisjoint(caller.shares_with):
            guard = django_internals.guard_session(connections[database.using])
            guard.forbid("a call with the key of another function")
    ids = sorted(holders)
    return {each.id: each for portion in portions(ids) for each in database.lock_holders(portion)}


def _keep(database: Database, waiting: Sequence[KeyHolder]) -> None:
    """Count a call in each of these functions."""
    for absorbed, alike in groupby(sorted(waiting, key=attrgetter("absorbed")), key=attrgetter("absorbed")):
        for portion in portions([each.id for each in alike]):
            transitions.KEEP.apply_to_all(database, portion, {"absorbed": absorbed + 1})


def _replace(
    database: Database,
    function: AnyFunction,
    waiting: KeyHolder,
    rows: NewRows,
    arguments: str,
    max_wait: timedelta | None,
) -> None:
    """Have a function that waits take over everything of a new call."""
    database.refuse_too_large(rows.name, arguments)
    due: timedelta | datetime = rows.time
    if max_wait is not None:
        asked = waiting.now + due if isinstance(due, timedelta) else due
        due = min(asked, waiting.creation_time + max_wait)
    is_replaced = transitions.REPLACE.apply(
        database,
        waiting.id,
        {
            "name": rows.name,
            "kind": rows.kind.value,
            "args": arguments,
            "queue": rows.queue,
            "priority": rows.priority,
            "tenant": rows.tenant_of(arguments),
            "due_time": due if rows.hand_over is None else rows.hand_over,
            "expires_time": rows.expires,
            "callbacks": rows.callbacks,
            "context": rows.context,
            "parent_id": rows.parent_id,
            "handed_over": rows.hand_over is not None,
            "absorbed": waiting.absorbed + 1,
        },
    )
    assert is_replaced, f"{function.name} {waiting.id} is locked and pending, and was not replaced"


def _due_of_first(
    database: Database, time: timedelta | datetime, max_wait: timedelta | None
) -> timedelta | datetime | None:
    """Return when new functions are due if that is not the requested time, because they may not wait for so long."""
    if max_wait is None:
        return None
    if isinstance(time, timedelta):
        return max_wait if time > max_wait else None
    latest = database.current_time() + max_wait
    return latest if time > latest else None


def _insert(database: Database, rows: NewRows, arguments: list[str], keys: Sequence[str]) -> list[ScheduledFunctionId]:
    if len(keys) == 1:
        rows.key = keys[0]
        return database.insert(rows, arguments)
    ids = database.insert(rows, arguments)
    for portion in portions(list(zip(ids, keys, strict=True))):
        database.write_keys(dict(portion))
    return ids
