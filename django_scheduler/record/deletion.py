"""Deletion: rows of ours are deleted by their ids, 1,000 in a transaction, and what cannot be deleted is passed over.

A project may refer to our rows by foreign keys. What their ``on_delete`` asks for is done: ``CASCADE`` deletes the rows
that refer to ours, ``SET_NULL`` and its like change them, ``PROTECT`` and ``RESTRICT`` keep ours. So do a constraint of
the database, a trigger, and a receiver that raises. A transaction that fails is halved, and halved again, until it is
known which rows are the ones that stay.

Our own rows are not loaded, however many receivers there are: 1,000 of them can have gigabytes of arguments. So no
signal is sent for them. (There is none when they are inserted either.)
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import DO_NOTHING, PROTECT, Exists, Model, OuterRef, ProtectedError, QuerySet, RestrictedError
from django.db.models.deletion import Collector, get_candidate_relations_to_delete

from django_scheduler.databases import Database
from django_scheduler.telemetry import warn

ROWS_PER_TRANSACTION = 1_000

#: How many reasons are told apart: the messages of triggers and receivers may all be different.
MOST_REASONS = 10


@dataclass(frozen=True, slots=True)
class Portion:
    """Says how many rows of a transaction were deleted, and how many were kept for what reason."""

    deleted: int = 0
    kept: Counter[str] = field(default_factory=Counter)


def delete(database: Database, rows: QuerySet[Any], *, by: str) -> Iterator[Portion]:
    """Delete rows in the order of a column; yield a portion after each transaction, and one of what is protected."""
    candidates: Any = get_candidate_relations_to_delete(rows.model._meta)
    relations = [each for each in candidates if each.on_delete != DO_NOTHING]
    protecting = [each for each in relations if each.on_delete == PROTECT]
    chosen = rows.order_by(by, "pk")
    for relation in protecting:
        chosen = chosen.exclude(_is_referred_to(relation, database))
    left = chosen
    while True:
        found = list(left.values_list(by, "pk")[:ROWS_PER_TRANSACTION])
        yield _delete(database, rows.model, [pk for _, pk in found], has_relations=bool(relations))
        if len(found) < ROWS_PER_TRANSACTION:
            break
        # Not from the beginning: what was kept is still there.
        last, last_pk = found[-1]
        left = chosen.filter(**{f"{by}__gte": last}).exclude(**{by: last, "pk__lte": last_pk})
    for relation in protecting:
        if number := rows.filter(_is_referred_to(relation, database)).count():
            yield Portion(kept=Counter({_protected_by([relation.related_model]): number}))


def _delete(database: Database, model: type[Model], ids: Sequence[int], *, has_relations: bool) -> Portion:
    """Delete those of the rows that can be; the others are found by halving."""
    if not ids:
        return Portion()
    try:
        with transaction.atomic(using=database.using):
            if has_relations:
                _detach(database, model, ids)
            return Portion(database.delete(model, ids))
    except Exception as error:
        if database.is_transient(error):
            raise
        if len(ids) == 1:
            return Portion(kept=Counter([_reason(error)]))
    middle = len(ids) // 2
    halves = [_delete(database, model, part, has_relations=has_relations) for part in (ids[:middle], ids[middle:])]
    return Portion(sum(half.deleted for half in halves), added([half.kept for half in halves]))


def _detach(database: Database, model: type[Model], ids: Sequence[int]) -> None:
    """Do with the rows that refer to these what their foreign keys ask for, as Django does, but without loading these.

    Raises ``ProtectedError`` or ``RestrictedError`` if they ask to keep them.
    """
    collector: Any = Collector(using=database.using)
    collector.collect([model(pk=pk) for pk in ids])
    collector.data.pop(model, None)
    collector.delete()


def added(counters: Sequence[Counter[str]]) -> Counter[str]:
    """Return the sum of what was kept. Of very many reasons only the first are told apart."""
    total: Counter[str] = Counter()
    for counter in counters:
        for reason, number in counter.items():
            total[reason if reason in total or len(total) < MOST_REASONS else "other reasons"] += number
    return total


def warn_of_kept(what: str, portions: Sequence[Portion]) -> None:
    """Log how many rows could not be deleted, and why."""
    for reason, number in added([portion.kept for portion in portions]).items():
        warn("Retention has kept %d expired %s, because they cannot be deleted: %s", number, what, reason)


def _is_referred_to(relation: Any, database: Database) -> Exists:
    referring = relation.related_model._base_manager.using(database.using)
    return Exists(referring.filter(**{relation.field.name: OuterRef("pk")}))


def _reason(error: Exception) -> str:
    match error:
        case ProtectedError(protected_objects=objects) | RestrictedError(restricted_objects=objects):
            return _protected_by({type(each) for each in objects})
    message, *_ = f"{type(error).__name__}: {error}".splitlines()
    return message


def _protected_by(models: Collection[type[Model]]) -> str:
    return f"protected by {', '.join(sorted(model._meta.label for model in models))}"
