"""Pause queues and resume them: executors do not serve a queue that is paused.

A pause is a row, which executors read in the statements in which they look for what is due, and in which they claim. So
a pause takes effect with the next claim.
What is executing ends as always, and functions can still be scheduled.
"""

from django.db import transaction
from django.utils.connection import ConnectionDoesNotExist

from django_scheduler.databases import database_for, require_alias
from django_scheduler.functions import declared_queues
from django_scheduler.models import LONGEST_QUEUE_NAME, LONGEST_REASON, LONGEST_USER_NAME, Pause
from django_scheduler.record import wakeup
from django_scheduler.status import queues_on_record
from django_scheduler.suggestions import which_there_are
from django_scheduler.telemetry import warn
from django_scheduler.values import require_plain_text


def pause(using: str, queue: str = Pause.EVERYTHING, *, reason: str = "", paused_by: str = "") -> bool:
    """Pause a queue, or all of them with ``Pause.EVERYTHING``; return ``False`` if it is paused already.

    A queue that nothing names and that nothing on record is in is paused too, and logged: perhaps it is mistyped.

    Raises ``TypeError`` or ``ValueError`` if no queue can have that name or no text is like that, and
    ``ConnectionDoesNotExist``, as Django does, if there is no such database.
    """
    _check(using, "pause", queue=queue, reason=reason, paused_by=paused_by)
    if len(queue) > LONGEST_QUEUE_NAME:
        raise ValueError(f"No queue has a name of more than {LONGEST_QUEUE_NAME} characters.")
    _warn_of_undeclared(using, queue)
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

    Raises what ``pause`` does.
    """
    _check(using, "resume", queue=queue)
    with transaction.atomic(using=using):
        deleted, _ = Pause.objects.using(using).filter(queue=queue).delete()
        wakeup.send_after_commit(using)
    return bool(deleted)


def _warn_of_undeclared(using: str, queue: str) -> None:
    """Log a queue that neither a function nor a setting declares, and that nothing on record is in."""
    if queue == Pause.EVERYTHING or queue in (declared := declared_queues()):
        return
    known = declared | queues_on_record(database_for(using))
    if queue not in known:
        warn(
            "The queue %r is paused, but no function and no setting declares it, and nothing on record is in it. %s",
            queue,
            which_there_are(queue, sorted(known)),
        )


def _check(using: str, called: str, **texts: object) -> None:
    try:
        require_alias(using)
    except ConnectionDoesNotExist as error:
        hint = f"The queue comes second: pausing.{called}('default', {using!r})."
        raise ConnectionDoesNotExist(f"{error} {hint}") from None
    require_plain_text(**texts)
