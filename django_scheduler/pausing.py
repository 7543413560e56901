"""Pause queues and resume them: executors do not serve a queue that is paused.

A pause is a row, which executors read in the same statement in which they look for what is due. They rely on what
they have read for up to half a second, so a pause takes effect within that time; a wake-up mostly tells them sooner.
What is executing ends as always, and functions can still be scheduled.
"""

from django.db import connections, transaction

from django_scheduler.databases import database_for
from django_scheduler.models import LONGEST_QUEUE_NAME, LONGEST_REASON, LONGEST_USER_NAME, Pause
from django_scheduler.scheduling import wakeup


def pause(using: str, queue: str = Pause.EVERYTHING, *, reason: str = "", paused_by: str = "") -> bool:
    """Pause a queue, or all of them with ``Pause.EVERYTHING``; return ``False`` if it is paused already.

    Raises ``ValueError`` if no queue can have that name, or if there is no such database.
    """
    _check_database(using, "pause")
    if len(queue) > LONGEST_QUEUE_NAME:
        raise ValueError(f"No queue has a name of more than {LONGEST_QUEUE_NAME} characters.")
    with transaction.atomic(using=using):
        _, is_new = Pause.objects.using(using).get_or_create(
            queue=queue,
            defaults={
                "reason": reason[:LONGEST_REASON],
                "paused_by": paused_by[:LONGEST_USER_NAME],
                "paused_time": database_for(using).now(),
            },
        )
        wakeup.send_after_commit(using)
    return is_new


def resume(using: str, queue: str = Pause.EVERYTHING) -> bool:
    """End the pause of a queue, or that of all with ``Pause.EVERYTHING``; return ``False`` if there was none.

    Raises ``ValueError`` if there is no such database.
    """
    _check_database(using, "resume")
    with transaction.atomic(using=using):
        deleted, _ = Pause.objects.using(using).filter(queue=queue).delete()
        wakeup.send_after_commit(using)
    return bool(deleted)


def _check_database(using: str, called: str) -> None:
    if using not in connections:
        raise ValueError(
            f"There is no database {using!r} in DATABASES. The queue comes second:"
            f" pausing.{called}('default', {using!r})."
        )
