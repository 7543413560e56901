"""Batches: some that are open are a panel of the overview, all are a page, and each is the head of its own list.

A batch is of no queryset of functions. So the panel and the page are for those who see every function. The head is for
those who see a member too, and tells them nothing of functions that are no members.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import F, QuerySet

from django_scheduler.admin.followers import Follower, label_of
from django_scheduler.databases import Database
from django_scheduler.masking import masked
from django_scheduler.models import Batch

#: How many batches the overview shows, and a page.
PANEL_LINES, PAGE_LINES = 5, 50


@dataclass(frozen=True, slots=True)
class BatchLine:
    """Describes a batch."""

    batch: Batch
    #: The function that has made it, if that is known, and its name, if it is on record.
    parent_id: int | None
    parent_name: str | None
    #: Who caused it, if that is known.
    user: str
    #: What is scheduled when it has ended.
    followers: tuple[Follower, ...]


@dataclass(frozen=True, slots=True)
class BatchPage:
    """Holds some batches, in their order."""

    lines: Sequence[BatchLine]
    #: The id behind which there are more.
    before: int | None = None


def open_batches(database: Database, number: int, before: int | None = None) -> BatchPage:
    """Return batches whose members have not all ended, the newest first."""
    # The first order, in which they are all alike, is that of the index that finds them.
    rows = _batches(database).filter(completed_time__isnull=True).order_by("completed_time", "-pk")
    return _page(rows, number, before)


def all_batches(database: Database, number: int, before: int | None = None) -> BatchPage:
    """Return batches, the newest first."""
    return _page(_batches(database).order_by("-pk"), number, before)


def the_batch(database: Database, batch_id: int) -> BatchLine | None:
    """Return the batch of that id."""
    return next(map(_line, _batches(database).filter(pk=batch_id)), None)


def _batches(database: Database) -> QuerySet[Batch]:
    return Batch.objects.using(database.using).annotate(parent_name=F("parent__name"))


def _page(rows: QuerySet[Batch], number: int, before: int | None) -> BatchPage:
    found = list((rows if before is None else rows.filter(pk__lt=before))[: number + 1])
    return BatchPage([_line(each) for each in found[:number]], found[number - 1].pk if len(found) > number else None)


def _line(batch: Batch) -> BatchLine:
    row = vars(batch)
    name: str | None = row["parent_name"]
    context = masked(name or "", batch.context or {})
    user = context.get("user") if isinstance(context, dict) else None
    return BatchLine(
        batch=batch,
        parent_id=row["parent_id"],
        parent_name=name,
        user=user if isinstance(user, str) else "",
        followers=tuple(Follower(label_of(each["on"]), each["name"]) for each in batch.callbacks or ()),
    )
