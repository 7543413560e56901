"""The slots of rate limits: each is taken for a start, and is free again when that was long enough ago.

``executor/rates.py`` says why that keeps a limit. As with other slots (``slots.py``), what counts is what a row says
once it is locked: a slot that was taken, or given back, since it was read is known by its counter ``taken``.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, NamedTuple

from django_scheduler.databases.rows import SLOTS, TakenSlot, WantedSlots
from django_scheduler.databases.slots import InSql, SlotRows, all_of, in_params
from django_scheduler.databases.sql import Sql, placeholders


class SlotsInUse(NamedTuple):
    """Says how many slots of a rate limit may be taken, and in how many seconds the next one is free."""

    free: int
    next_in: float


class RateRows(SlotRows):
    """Takes slots for starts, and knows when others are free."""

    #: How a statement names the rows that another one locks and selects.
    those_locked: ClassVar[str] = "id IN (SELECT id FROM ({}) AS free_ones)"

    def take_rate_slots(self, wanted: Sequence[WantedSlots]) -> list[TakenSlot]:
        """Take free slots of rate limits, as many of each as are wanted, or as there are."""
        free, now = self._free_rate_slots(wanted), self._now()
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {SLOTS} SET taken = taken + 1, taken_time = {now.text}"
                f" WHERE {self.those_locked.format(free.text)} RETURNING id, of_limit, taken",
                [*now.params, *free.params],
            )
            return [TakenSlot(*row) for row in cursor.fetchall()]

    def take_again(self, slot: TakenSlot) -> TakenSlot | None:
        """Take the slot once more for the same start, which comes only now; ``None``: it has been taken since."""
        now = self._now()
        taken = self._execute(
            f"UPDATE {SLOTS} SET taken = taken + 1, taken_time = {now.text} WHERE id = %s AND taken = %s",
            [*now.params, slot.id, slot.taken],
        )
        return slot._replace(taken=slot.taken + 1) if taken else None

    def give_back(self, slots: Collection[TakenSlot]) -> None:
        """Free slots for which no body has begun, unless they have been taken since."""
        self._execute(
            f"UPDATE {SLOTS}{self.hint_of_ids} SET taken = taken + 1, taken_time = NULL"
            f" WHERE id IN ({placeholders(slots)}) AND taken = CASE id {'WHEN %s THEN %s ' * len(slots)}END",
            [*(each.id for each in slots), *(param for each in slots for param in (each.id, each.taken))],
        )

    def slots_in_use(self, wanted: Mapping[str, WantedSlots]) -> dict[str, SlotsInUse]:
        """Return how many slots of rate limits are free, and when the next one is."""
        if not wanted:
            return {}
        set_to = self._sizes_that_are_set({each.name for each in wanted.values()})
        until = self.seconds_until("MIN(taken_time)")
        windows: dict[object, list[str]] = {}
        for limit, each in wanted.items():
            windows.setdefault(each.window, []).append(limit)
        parts, params = [], []
        for limits in windows.values():
            since = self._window_of(wanted[limits[0]])
            parts.append(f"of_limit IN ({placeholders(limits)}) AND taken_time > {since.text}")
            params += [*limits, *since.params]
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT of_limit, COUNT(*), {until.text} FROM {SLOTS} WHERE {' OR '.join(parts)} GROUP BY of_limit",
                [*until.params, *params],
            )
            used = {limit: (number, float(age)) for limit, number, age in cursor.fetchall()}
        found = {}
        for limit, each in wanted.items():
            number, age = used.get(limit, (0, 0.0))
            assert each.window is not None
            free = set_to.get(each.name, each.size) - number
            found[limit] = SlotsInUse(max(free, 0), max(each.window.total_seconds() + age, 0.0))
        return found

    def _free_rate_slots(self, wanted: Sequence[WantedSlots]) -> Sql:
        """Return the statement that locks free slots, and selects them."""
        return all_of(
            [self._locked_rate_slots(in_params(each), self._window_of(each), f"{each.number:d}") for each in wanted]
        )

    def _locked_rate_slots(self, wanted: InSql, since: Sql, number: str) -> Sql:
        """Return the statement that locks so many free slots of a rate limit; ``since``: since when starts have theirs.

        It reads as many as the limit has left, in their order, and comes to its end with the first ones that it has
        locked. (Starts may still have slots beyond a limit that was lowered.)
        """
        size, limit = wanted.size, wanted.limit
        return Sql(
            "SELECT slot.id, slot.of_limit, slot.taken FROM (SELECT id, taken FROM (SELECT id, taken, number,"
            f" ROW_NUMBER() OVER (ORDER BY number) AS place FROM {SLOTS} WHERE of_limit = {limit.text}"
            f" AND number < {size.text} AND (taken_time IS NULL OR taken_time <= {since.text})) AS unused"
            f" WHERE place <= {size.text} - (SELECT COUNT(*) FROM {SLOTS} WHERE of_limit = {limit.text}"
            f" AND taken_time > {since.text}) ORDER BY number) AS free {self.join_slots} {SLOTS} slot"
            f" ON slot.id = free.id AND slot.taken = free.taken LIMIT {number} {self.lock_slot}",
            *(*limit.params, *size.params, *since.params, *size.params, *limit.params, *since.params),
        )

    def _window_of(self, wanted: WantedSlots) -> Sql:
        """Return since when a start has its slot still."""
        assert wanted.window is not None
        return self._scheduled_and_due(-wanted.window)[0]
