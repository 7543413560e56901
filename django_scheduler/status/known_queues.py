"""Queues are known by what declares them and by what is on record: a call may name any with ``options(queue=)``."""

from django_scheduler.databases import Database
from django_scheduler.models import Pause, ScheduledFunction

#: Among so many of the latest functions queues are looked for in which nothing is pending any more.
LOOKED_AT = 1_000


def queues_on_record(database: Database) -> set[str]:
    """Return the queues in which something is pending, those of the latest functions, and those that are paused.

    Each is looked up in an index, whatever the number of functions.
    """
    pauses = Pause.objects.using(database.using).exclude(pk=Pause.EVERYTHING).values_list("queue", flat=True)
    functions = ScheduledFunction.objects.using(database.using)
    latest = functions.order_by("-pk").values_list("queue", flat=True)[:LOOKED_AT]
    return {*(lane.queue for lane in database.lanes()), *latest, *pauses}
