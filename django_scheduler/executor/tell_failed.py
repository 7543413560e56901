"""A function has failed that its executor cannot tell of, because it is gone: whoever has recorded it tells of it."""

import logging
from functools import partial

from django.db import transaction

from django_scheduler import signals
from django_scheduler.databases import Database
from django_scheduler.log import log_of_executors as log
from django_scheduler.models import Failure, Kind, ScheduledFunctionId, State


def tell_failed(
    database: Database,
    function_id: ScheduledFunctionId | int,
    *,
    name: str,
    kind: Kind,
    attempt: int,
    executor: str,
    failure: Failure,
    reason: str,
) -> None:
    """Log it now, and send the signal once the transaction that is open has committed."""
    log(
        logging.ERROR,
        "%s %s: failed (%s), because %s",
        name,
        function_id,
        failure.value,
        reason,
        function=name,
        function_id=function_id,
        executor=executor,
        state=State.FAILED.value,
        failure=failure.value,
    )
    tell = partial(
        signals.send,
        signals.function_finished,
        function_id=function_id,
        name=name,
        kind=kind.value,
        attempt=attempt,
        lag=None,
        executor=executor,
        using=database.using,
        state=State.FAILED.value,
        failure=failure.value,
        duration=None,
    )
    transaction.on_commit(tell, using=database.using, robust=True)
