"""Run again: a finished function is scheduled once more, as a new one that refers to it.

The old record stays as it is, so an action whose outcome is unknown stays ``lost``. The new one has the same
arguments, in the form in which they were stored, and whatever queue, priority and kind its function has by now.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from django_scheduler import commit_hook, scheduling
from django_scheduler.commit_hook import BULK, Scheduled, Volume
from django_scheduler.conflicts import in_transaction
from django_scheduler.databases import NewRow
from django_scheduler.models import UNFINISHED, ScheduledFunction, State
from django_scheduler.outcomes import Outcome
from django_scheduler.registry import registry
from django_scheduler.values.json_text import to_json


def run_again(using: str, ids: Sequence[int]) -> dict[int, Outcome]:
    """Schedule finished functions again, due at once; what became of each.

    Raises ``TooManyScheduled`` or ``ArgumentsTooLarge`` if one transaction may not schedule so much in bulk.
    """

    def schedule() -> dict[int, Outcome]:
        outcomes = dict.fromkeys(ids, Outcome.GONE)
        rows = ScheduledFunction.objects.using(using).filter(pk__in=ids).order_by("pk")
        finished: dict[int, NewRow] = {}
        for pk, name, kind, state, args in rows.values_list("pk", "name", "kind", "state", "args"):
            if state in UNFINISHED:
                outcomes[pk] = Outcome.UNFINISHED
            elif row := _row(name, kind, to_json(args)):
                outcomes[pk] = Outcome.DONE
                finished[pk] = row
            else:
                outcomes[pk] = Outcome.MISSING
        _write(using, finished)
        return outcomes

    return in_transaction(using, schedule)


def _row(name: str, kind: str, args: str) -> NewRow | None:
    function = registry.find_recorded(name, kind)
    if function is None:
        return None
    return NewRow(
        name=name,
        kind=function.kind,
        args=args,
        state=State.PENDING,
        queue=function.queue,
        priority=function.priority,
        time=timedelta(0),
        parent_id=None,
    )


def _write(using: str, rows: dict[int, NewRow]) -> None:
    if not rows:
        return
    volume = Volume(len(rows), sum(len(row.args) for row in rows.values()))
    commit_hook.count(using, BULK, volume, "what is to run again")
    ids = scheduling.insert(using, list(rows.values()))
    functions = ScheduledFunction.objects.using(using)
    functions.bulk_update(_linked(list(rows), ids), ["rerun_of"], batch_size=500)
    for row, function_id in zip(rows.values(), ids, strict=True):
        commit_hook.announce(
            Scheduled(using=using, name=row.name, kind=str(row.kind), queue=row.queue, ids=[function_id]), wake=True
        )


def _linked(old_ids: Sequence[int], new_ids: Sequence[int]) -> Iterator[ScheduledFunction]:
    for old, new in zip(old_ids, new_ids, strict=True):
        yield ScheduledFunction(pk=new, rerun_of_id=old)
