"""Firing: a due cron schedules its function, in one transaction with the advance of its next time.

The invariants, with any number of executors, on any of the databases:

* Each slot is decided once: it runs, or is passed over, and that is recorded. The process that decides locks the cron's
  row, and moves ``next_time`` beyond the slot in the same transaction as its record. Others skip the locked row, and
  later find another ``next_time``. On SQLite the transaction holds the whole file. A dead executor's transaction
  vanishes, and the slot is still due. Should all that fail, the unique constraint of (cron, slot) refuses the second
  run.
* No slot comes up twice, whatever the clock says: ``last_slot`` only grows, and ``next_time`` is always beyond it.
* Two runs of a cron never execute at a time: a slot is fired only when the function of the previous run has finished,
  which this transaction looks at. Anything that starts meanwhile would be a run, and needs the lock.
  (A canceled action counts as finished, although its body may go on; so does one whose executor is lost.)
* A run is never late because of the previous run: a slot that comes up while that one is unfinished is skipped.
  If the slot had come up before that run began (after a downtime, with ``catch_up="all"``), it waits for its end.
* No cron holds up another one, nor the executor: what is wrong with a cron is recorded as the outcome of its slot.
"""

import logging
from datetime import datetime
from functools import partial

from django.db import IntegrityError, transaction

from django_scheduler import values
from django_scheduler.crons import history
from django_scheduler.crons.catch_up import Decision, decide, skip
from django_scheduler.crons.models import Cron, CronRun, CronRunState, lock_if_free
from django_scheduler.crons.reconcile import is_in_force
from django_scheduler.databases import Database
from django_scheduler.errors import InvalidSchedule, SchedulerError
from django_scheduler.models import ScheduledFunctionId
from django_scheduler.record import describe
from django_scheduler.scheduling import Running, enqueue
from django_scheduler.telemetry import log_of_crons as log


def fire(database: Database, cron_id: int) -> bool:
    """Decide about the slot of a due cron; return whether that was possible.

    It is not if somebody else holds the cron, it has to wait for its run, or only newer code can run it. Raises the
    database's transient errors.
    """
    try:
        with transaction.atomic(using=database.using, durable=True):
            return _decide_about_slot(database, cron_id)
    except Exception as error:
        if database.is_transient(error):
            raise
        if isinstance(error, SchedulerError) and not is_in_force(database):
            return False  # what this code does not know, newer code may
        return _refuse(database, cron_id, error)


def _decide_about_slot(database: Database, cron_id: int) -> bool:
    cron = lock_if_free(database, pk=cron_id, next_time__lte=database.now())
    if cron is None:
        return False
    assert cron.next_time is not None
    now = database.current_time()
    unfinished = history.settle_last_run(database, cron, now)
    if cron.paused_time is not None:
        pass  # because of how its last run ended, which was just recorded
    elif cron.last_slot is not None and cron.next_time <= cron.last_slot:  # somebody has changed the row by hand
        cron.next_time = cron.next_slot(now)
    elif unfinished is None:
        decision = decide(cron.schedule, cron.next_time, now, anchor=cron.anchor)
        _advance(database, cron, decision, CronRunState.MISSED, now)
        if decision.run is not None:
            schedule_run(database, cron, now, slot=decision.run)
    elif cron.next_time > unfinished.time:
        decision = skip(cron.schedule, cron.next_time, now, anchor=cron.anchor)
        _advance(database, cron, decision, CronRunState.SKIPPED, now)
    else:
        return False
    cron.save(using=database.using)
    return True


def schedule_run(
    database: Database, cron: Cron, now: datetime, *, slot: datetime | None = None, caller: Running | None = None
) -> ScheduledFunctionId:
    """Schedule the function of a cron that is locked, as the run of a slot, or of none; the caller saves the cron."""
    arguments = values.load_arguments(cron.function, cron.args)
    function_id = enqueue.schedule(database.using, caller, slot or now, cron.function, (), arguments)
    cron.last_run = CronRun.objects.using(database.using).create(
        cron=cron, slot=slot, last_slot=slot, state=CronRunState.SCHEDULED, function_id=function_id, time=now
    )
    return function_id


def _advance(database: Database, cron: Cron, decision: Decision, state: CronRunState, now: datetime) -> None:
    """Move a cron beyond the slots that are decided, and record with this state those that have no run."""
    cron.last_slot, cron.next_time = decision.last_slot, decision.next_time
    streak = decision.passed_over
    # Slots in a row are logged once: a cron that runs every second may be held up for an hour.
    if streak is not None and history.record_passed_over(database, cron, streak, state, now):
        log_passed_over = partial(
            log,
            logging.WARNING,
            "The cron %r has %s its slot %s, because %s",
            cron.name,
            state.value,
            streak.first.isoformat(),
            "its previous run is unfinished" if state is CronRunState.SKIPPED else "no executor was running",
            cron=cron.name,
        )
        # Its run may turn out to be impossible, so that nothing is decided.
        transaction.on_commit(log_passed_over, using=database.using, robust=True)


def _refuse(database: Database, cron_id: int, error: Exception) -> bool:
    """Record that a slot could not be fired, and go on with the next one."""
    description = describe(error)["error"]
    with transaction.atomic(using=database.using, durable=True):
        cron = lock_if_free(database, pk=cron_id, next_time__lte=database.now())
        if cron is None or cron.next_time is None:
            return False
        now = database.current_time()
        unfinished = history.settle_last_run(database, cron, now)
        slot: datetime | None = cron.next_time
        try:
            if cron.paused_time is None:
                decision = decide(cron.schedule, cron.next_time, now, anchor=cron.anchor)
                _advance(database, cron, decision, CronRunState.MISSED, now)
                slot = decision.run
        except InvalidSchedule as problem:
            history.pause(cron, f"Its schedule cannot be computed: {problem}", now)
        if isinstance(error, IntegrityError):
            slot = None  # another record may have it
        refused = CronRun.objects.using(database.using).create(
            cron=cron,
            slot=slot,
            last_slot=slot,
            state=CronRunState.REFUSED,
            time=now,
            completed_time=now,
            error=description[: history.LONGEST_ERROR],
        )
        if unfinished is None:
            cron.last_run = refused
        history.count_outcome(cron, CronRunState.REFUSED, description, now)
        cron.save(using=database.using)
    log(
        logging.ERROR,
        "The cron %r could not schedule %s, and goes on with its next slot: %s",
        cron.name,
        cron.function,
        description,
        error=error,
        cron=cron.name,
    )
    return True
