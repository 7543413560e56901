"""The slots of limits, and what waits for them: free ones are found, locked and taken here.

``executor/limits.py`` says why that keeps a limit. Two statements of different transactions read and lock at the same
time, so what counts is what a row says once it is locked, and not what it has said in the snapshot of the statement:

* A slot is free if the action that has taken it last does not run any more. (Those of rate limits are in
  ``rates.py``.) That is read of another table, as of the snapshot. So a slot is locked only if its counter ``taken``
  is still what it was in the snapshot: then no action has taken it since. (PostgreSQL reads a row that has changed
  again when it locks it, and asks for the condition once more. InnoDB reads the newest version of what it locks.
  SQLite has one writer, and no other transaction.)
* Who has locked a slot at that moment is passed over, so nobody waits.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from django_scheduler.databases.rows import (
    EXECUTORS,
    LIMITS,
    SLOTS,
    TABLE,
    DriverTime,
    FoundSlot,
    LookedAtSlot,
    WantedSlots,
)
from django_scheduler.databases.sql import Sql, SqlDatabase, placeholders
from django_scheduler.models import Failure, ScheduledFunctionId, State

#: Joins a slot to the action that has taken it last, if that may run. One that was canceled, whose time was up or that
#: was taken for lost may go on, as long as its executor is there; that clears the slot when the body has ended. (One
#: that was canceled while it waited for its next attempt has no time on record at which that has begun.)
HOLDS = (
    "holder.id = slot.function_id AND holder.attempts = slot.attempt"
    f" AND (holder.state = '{State.IN_PROGRESS.value}' OR (holder.started_time IS NOT NULL"
    f" AND (holder.state = '{State.CANCELED.value}'"
    f" OR holder.failure IN ('{Failure.TIMEOUT.value}', '{Failure.LOST.value}'))"
    f" AND EXISTS (SELECT 1 FROM {EXECUTORS} executor WHERE executor.name = slot.executor)))"
)

#: Of a slot: that an action has it.
IS_TAKEN = f"EXISTS (SELECT 1 FROM {TABLE} holder WHERE {HOLDS})"

#: How many parts a statement has at most that has one for each limit. (SQLite takes 500.)
PARTS_PER_STATEMENT = 100


class InSql(NamedTuple):
    """Is a limit in SQL: the text by which it is known, and how many slots it has."""

    limit: Sql
    size: Sql


def size_of_limit(name: str, size: str) -> str:
    """Return the SQL of how many slots a limit has: as many as somebody has set, or else as the code says."""
    return f"COALESCE((SELECT number FROM {LIMITS} WHERE name = {name}), {size})"


def all_of(selects: Sequence[Sql]) -> Sql:
    """Return the statement that selects what each of these selects."""
    if len(selects) == 1:
        return selects[0]
    text = " UNION ALL ".join(f"SELECT * FROM ({each.text}) AS part_{number}" for number, each in enumerate(selects))
    return Sql(text, *(param for each in selects for param in each.params))


def in_params(wanted: WantedSlots) -> InSql:
    """Return a limit in SQL whose text and name are parameters."""
    return InSql(Sql("%s", wanted.limit), Sql(size_of_limit("%s", f"{wanted.size:d}"), wanted.name))


class SlotRows(SqlDatabase):
    """Locks, takes and adds slots, and finds what waits for them."""

    #: How the slots that are read as free are joined to those that are locked, one after the other; and how these are.
    join_slots: ClassVar[str] = "JOIN"
    lock_slot: ClassVar[str] = ""

    #: How a condition is written that most rows meet, where the planner would expect that next to none do.
    met_by_most: ClassVar[str] = "{}"

    # Finding free slots

    def lock_slots(self, wanted: Sequence[WantedSlots], own_ids: Collection[int]) -> list[FoundSlot]:
        """Lock free slots of these limits that nobody else has locked, as many of each as are wanted, or as there are.

        ``own_ids``: for which functions.
        """
        found = self._free_slots(wanted, own_ids)
        with self.connection.cursor() as cursor:
            cursor.execute(found.text, found.params)
            return list(map(self._found_slot, cursor.fetchall()))

    def take_slot(self, wanted: WantedSlots, function_id: int, attempt: int, executor: str) -> list[FoundSlot]:
        """Have an action take one slot, as ``lock_slots`` and ``take_slots`` do; return it, or nothing.

        In one statement where the vendor can.
        """
        found = self._locked(in_params(wanted), "1", "slot.id")
        waiting = self._waiting(Sql("%s", wanted.limit), [function_id], wanted.keeps_order)
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {SLOTS} SET function_id = %s, attempt = %s, executor = %s, taken = taken + 1"
                f" WHERE id = ({found.text}) RETURNING id, of_limit, {waiting.text}",
                [function_id, attempt, executor, *found.params, *waiting.params],
            )
            return list(map(self._found_slot, cursor.fetchall()))

    def take_slots(self, holders: Mapping[int, tuple[int, int]], executor: str) -> None:
        """Have actions take slots that are locked; ``holders``: by the slots' ids, which action and which attempt."""
        functions = {slot_id: function_id for slot_id, (function_id, _) in holders.items()}
        attempts = {slot_id: attempt for slot_id, (_, attempt) in holders.items()}
        case = f"CASE id {'WHEN %s THEN %s ' * len(holders)}END"
        self._execute(
            f"UPDATE {SLOTS} SET function_id = {case}, attempt = {case}, executor = %s, taken = taken + 1"
            f" WHERE id IN ({placeholders(holders)})",
            [
                *(param for item in functions.items() for param in item),
                *(param for item in attempts.items() for param in item),
                executor,
                *holders,
            ],
        )

    def clear_slot(self, slot_id: int, function_id: int, attempt: int, executor: str) -> bool:
        """Free the slot of an action, unless it has been taken again since; return whether it has not."""
        return bool(
            self._execute(
                f"UPDATE {SLOTS} SET function_id = NULL, attempt = NULL, executor = ''"
                " WHERE id = %s AND function_id = %s AND attempt = %s AND executor = %s",
                [slot_id, function_id, attempt, executor],
            )
        )

    def _free_slots(self, wanted: Sequence[WantedSlots], own_ids: Collection[int]) -> Sql:
        """Return the statement of ``lock_slots``."""
        # SQLite reads a column of a union as the type that it has in the first part: one that is NULL there has none.
        keeps_order = any(each.keeps_order for each in wanted)
        return all_of(
            [self._free_slots_of(in_params(each), f"{each.number:d}", own_ids, keeps_order) for each in wanted]
        )

    def _free_slots_of(self, wanted: InSql, number: str, own_ids: Collection[int], keeps_order: bool) -> Sql:
        waiting = self._waiting(wanted.limit, own_ids, keeps_order)
        locked = self._locked(wanted, number, f"slot.id, slot.of_limit, {waiting.text}")
        return Sql(locked.text, *waiting.params, *locked.params)

    def _locked(self, wanted: InSql, number: str, columns: str) -> Sql:
        """Return the statement that selects columns of so many free slots, and locks them.

        What is read: those that no action has, and of these as many as the limit has left. (If it was lowered, actions
        may still have slots beyond it, and those are not given out again: other ones may be added below them.) What is
        locked: those of them that have not been taken since.
        """
        return Sql(
            f"SELECT {columns} FROM (SELECT id, taken FROM (SELECT slot.id, slot.taken, slot.number,"
            f" {wanted.size.text} AS size, holder.id AS holder_id, COUNT(holder.id) OVER () AS held,"
            " ROW_NUMBER() OVER (PARTITION BY CASE WHEN holder.id IS NULL THEN 1 END ORDER BY slot.number) AS place"
            f" FROM {SLOTS} slot LEFT JOIN {TABLE} holder ON {HOLDS} WHERE slot.of_limit = {wanted.limit.text})"
            f" AS counted WHERE holder_id IS NULL AND number < size AND place <= size - held ORDER BY number) AS free"
            f" {self.join_slots} {SLOTS} slot ON slot.id = free.id AND slot.taken = free.taken"
            f" LIMIT {number} {self.lock_slot}",
            *wanted.size.params,
            *wanted.limit.params,
        )

    def _waiting(self, limit: Sql, own_ids: Collection[int], keeps_order: bool) -> Sql:
        """Return columns: whether others wait for a limit, and since when and which the first of those in its order."""
        others_wait = (
            f"EXISTS (SELECT 1 FROM {TABLE} other WHERE other.waits_for = {limit.text} AND other.due_time = {self.far})"
        )
        if not keeps_order:
            return Sql(f"{others_wait} AS others_wait, NULL AS since, NULL AS first_id", *limit.params)
        in_order = "AND other.waiting_since IS NOT NULL ORDER BY other.waiting_since, other.id LIMIT 1"
        those = f"{TABLE} other WHERE other.in_order_of = {limit.text}"
        first = f"{those} AND other.id NOT IN ({placeholders(own_ids)}) {in_order}"
        return Sql(
            f"{others_wait} AS others_wait, (SELECT {self._time('other.waiting_since')} FROM {first}) AS since,"
            f" (SELECT other.id FROM {first}) AS first_id",
            *limit.params,
            *(param for _ in range(2) for param in (*limit.params, *own_ids)),
        )

    def _found_slot(self, row: Sequence[Any]) -> FoundSlot:
        slot_id, limit, others_wait, since, first_id = row
        first = None if first_id is None else (self._as_taken(since), first_id)
        return FoundSlot(slot_id, limit, bool(others_wait), first)

    # Adding slots

    def missing_slots(self, wanted: Sequence[WantedSlots]) -> list[tuple[str, int]]:
        """Return slots, as limits and numbers, that are not there and are wanted, as many of each limit.

        Or as many as there are already: should these be of no use, it takes few rounds until there are all of them.
        """
        limits = [each.limit for each in wanted]
        sizes = self._sizes_that_are_set({each.name for each in wanted})
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT of_limit, number FROM {SLOTS} WHERE of_limit IN ({placeholders(limits)})", limits)
            there = set(cursor.fetchall())
        numbers = Counter(limit for limit, _ in there)
        return [
            (each.limit, number)
            for each in wanted
            for number in [
                number for number in range(sizes.get(each.name, each.size)) if (each.limit, number) not in there
            ][: max(each.number, numbers[each.limit])]
        ]

    def _sizes_that_are_set(self, names: Collection[str]) -> dict[str, int]:
        """Return how many slots somebody has set for those of the limits, instead of what the code says."""
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT name, number FROM {LIMITS} WHERE name IN ({placeholders(names)})", sorted(names))
            return dict(cursor.fetchall())

    def add_slots(self, slots: Sequence[tuple[str, int]]) -> None:
        """Insert slots, unless somebody else has. It waits for who inserts the same, so it is a short transaction."""
        self._execute(
            f"{self.insert_missing[0]} INTO {SLOTS} (of_limit, number) VALUES {', '.join(['(%s, %s)'] * len(slots))}"
            f"{self.insert_missing[1]}",
            [param for slot in slots for param in slot],
        )

    #: How an INSERT begins and ends that leaves rows as they are that are there.
    insert_missing: ClassVar[tuple[str, str]] = ("INSERT", " ON CONFLICT DO NOTHING")

    #: Of a slot: that an executing mutation has locked it, where that can be seen without a lock.
    is_locked: ClassVar[str] = "FALSE"

    def count_free(self, sizes: Mapping[str, tuple[str, int]]) -> dict[str, int]:
        """Return how many more bodies of each limit may begin, as far as can be seen without a lock.

        ``sizes``: by the limit, its name and how many slots it has as far as the code says.
        """
        limits, changed = list(sizes), self._sizes_that_are_set({name for name, _ in sizes.values()})
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT of_limit, COUNT(*) FROM {SLOTS} slot WHERE of_limit IN ({placeholders(limits)})"
                f" AND ({IS_TAKEN} OR {self.is_locked}) GROUP BY of_limit",
                limits,
            )
            held = dict(cursor.fetchall())
        free = {limit: changed.get(name, size) - held.get(limit, 0) for limit, (name, size) in sizes.items()}
        return {limit: number for limit, number in free.items() if number > 0}

    def look_at_slots(self, after: int, *, most: int) -> list[LookedAtSlot]:
        """Return how slots are used.

        ``after``: only of those whose ids are larger.
        """
        started = self.seconds_until("slot.taken_time")
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT slot.id, slot.of_limit, slot.taken, {IS_TAKEN} OR EXISTS (SELECT 1 FROM {TABLE} other"
                f" WHERE other.due_time = {self.far} AND other.waits_for = slot.of_limit), {started.text}"
                f" FROM {SLOTS} slot WHERE slot.id > %s ORDER BY slot.id LIMIT {most:d}",
                [*started.params, after],
            )
            return [
                LookedAtSlot(slot_id, limit, taken, bool(is_needed), None if until is None else -float(until))
                for slot_id, limit, taken, is_needed, until in cursor.fetchall()
            ]

    # What waits

    def lock_waiting_for(self, numbers: Mapping[str, int]) -> list[ScheduledFunctionId]:
        """Lock so many of the first functions that wait for each limit, and return their ids."""

        def first_ones(limit: Sql, most: str) -> Sql:
            of_limit = Sql(f" AND waits_for = {limit.text}", *limit.params)
            return self._waiting_rows(of_limit, "waiting_since, id", most, are_many=True)

        return [found for each in self._of_each(numbers, first_ones) for found in self._lock_waiting(each)]

    def lock_waiting_among(self, ids: Collection[int]) -> list[ScheduledFunctionId]:
        """Lock those of the functions that wait for the limit whose order they keep, and return their ids."""
        among = Sql(f" AND id IN ({placeholders(ids)}) AND waits_for = in_order_of", *ids)
        return self._lock_waiting(self._waiting_rows(among, "id", f"{len(ids):d}"))

    def lock_waiting_expired(self, *, most: int) -> list[ScheduledFunctionId]:
        """Lock functions that wait for a limit and have expired, and return their ids."""
        now = self._now()
        expired = Sql(f" AND expires_time <= {now.text} AND attempts = 0", *now.params)
        return self._lock_waiting(self._waiting_rows(expired, "id", f"{most:d}"))

    def _waiting_rows(self, condition: Sql, order: str, most: str, *, are_many: bool = False) -> Sql:
        """Return the statement that locks functions that wait for a limit, and selects their ids.

        ``are_many``: those that meet the condition, so that to read them in their order ends soon.
        """
        is_pending = self._condition("state")
        if are_many:
            is_pending = self.met_by_most.format(is_pending)
        return Sql(
            f"SELECT id FROM {TABLE} WHERE due_time = {self.far} AND waits_for IS NOT NULL"
            f" AND {is_pending}{condition.text} ORDER BY {order} LIMIT {most} {self.skip_locked}",
            State.PENDING.value,
            *condition.params,
        )

    def _lock_waiting(self, rows: Sql) -> list[ScheduledFunctionId]:
        return [row[0] for row in self._selected(rows)]

    def _of_each(self, numbers: Mapping[str, int], select: Callable[[Sql, str], Sql]) -> Iterator[Sql]:
        """Yield statements that select for each of several limits what ``select`` does for one and its number, in SQL.

        Each part reads, and locks, as it would alone.
        """
        parts = [select(Sql("%s", limit), f"{number:d}") for limit, number in numbers.items()]
        for start in range(0, len(parts), PARTS_PER_STATEMENT):
            yield all_of(parts[start : start + PARTS_PER_STATEMENT])

    def _selected(self, statement: Sql) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement.text, statement.params)
            return list(cursor.fetchall())

    def place_of(self, function_id: int) -> DriverTime | None:
        """Return since when a function waits or has its place in the order of a limit; ``None``: it has none."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {self._time('waiting_since')} FROM {TABLE} WHERE id = %s"
                " AND (waits_for IS NOT NULL OR in_order_of IS NOT NULL)",
                [function_id],
            )
            found = cursor.fetchone()
        return None if found is None or found[0] is None else self._as_taken(found[0])

    def limits_waited_for(self, *, after: str = "", most: int) -> list[str]:
        """Return for which limits functions wait, in the order of the database, behind one of them."""
        rows = f"FROM {TABLE} WHERE due_time = {self.far} AND waits_for"
        with self.connection.cursor() as cursor:
            if self.finds_next_values:
                first = "ORDER BY waits_for LIMIT 1"
                cursor.execute(
                    f"WITH RECURSIVE found (waits_for, number) AS (SELECT (SELECT waits_for {rows} > %s {first}), 1"
                    f" UNION ALL SELECT (SELECT waits_for {rows} > found.waits_for {first}), found.number + 1"
                    f" FROM found WHERE found.waits_for IS NOT NULL AND found.number < {most:d})"
                    " SELECT waits_for FROM found WHERE waits_for IS NOT NULL ORDER BY waits_for",
                    [after],
                )
            else:
                cursor.execute(f"SELECT DISTINCT waits_for {rows} > %s ORDER BY waits_for LIMIT {most:d}", [after])
            return [row[0] for row in cursor.fetchall()]

    #: Whether each value of a column is looked up in the index from the one before, however many rows have it. (MariaDB
    #: reads the index from its beginning for each: measured with 50,000 that wait for 5,000 limits, 1.2 s for 1,000 of
    #: these. To read once what waits for so many takes it 2 ms.)
    finds_next_values: ClassVar[bool] = True

    def count_let_in(self, numbers: Mapping[str, int]) -> dict[str, int]:
        """Return how many of so many first functions in the order of each limit have been let in.

        These are due, or were handed over, and have not begun.
        """
        now = self._now()

        def count(limit: Sql, most: str) -> Sql:
            return Sql(
                f"SELECT {limit.text} AS of_limit, COUNT(*) AS number FROM (SELECT due_time, handed_over FROM {TABLE}"
                f" WHERE waits_for = {limit.text} ORDER BY waiting_since, id LIMIT {most}) AS first_ones"
                f" WHERE due_time <= {now.text} OR handed_over",
                *limit.params,
                *limit.params,
                *now.params,
            )

        return {limit: number for each in self._of_each(numbers, count) for limit, number in self._selected(each)}

    def held_up(self, limits: Collection[str]) -> set[str]:
        """Return those of the limits of which the first of what is due in their order does not wait for the limit.

        Nothing begins before it: it waits for its rate limit, for example, or its queue is paused.
        """
        now = self._now()

        def first_one(limit: Sql, most: str) -> Sql:
            return Sql(
                f"SELECT {limit.text} AS of_limit, due_time = {self.far} AND waits_for = in_order_of AS waits"
                f" FROM {TABLE} WHERE in_order_of = {limit.text} AND waiting_since <= {now.text}"
                f" ORDER BY waiting_since, id LIMIT {most}",
                *limit.params,
                *limit.params,
                *now.params,
            )

        first_ones = self._of_each(dict.fromkeys(limits, 1), first_one)
        return {limit for each in first_ones for limit, waits in self._selected(each) if not waits}

    @property
    def something_waits(self) -> str:
        """Return the condition, in SQL, that any function waits for a limit."""
        return f"EXISTS (SELECT 1 FROM {TABLE} WHERE due_time = {self.far} AND waits_for IS NOT NULL)"
