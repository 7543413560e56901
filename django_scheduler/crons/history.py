"""History: what became of each slot. A run is linked to its scheduled function, and settled once that has ended.

As long as the scheduled function is unfinished, its row alone says how the run is going. Its end is copied here,
because retention deletes the row some day, and a cron that runs once a month must still know how its last run went.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from django_scheduler.conf import get_settings
from django_scheduler.crons.catch_up import Streak
from django_scheduler.crons.models import LONGEST_REASON, Cron, CronRun, CronRunState, lock_if_free
from django_scheduler.databases import Database
from django_scheduler.models import UNFINISHED, ScheduledFunction
from django_scheduler.record import deletion

#: How much of an error is kept, in characters.
LONGEST_ERROR = 1_000

#: How many records of a cron are kept, however old they are.
ALWAYS_KEPT = 20


def functions_of(cron: Cron) -> QuerySet[ScheduledFunction]:
    """Return the scheduled functions that are runs of a cron and are still on record."""
    return ScheduledFunction.objects.using(cron._state.db).filter(cron_runs__cron=cron)


def cron_of(function: ScheduledFunction) -> Cron | None:
    """Return the cron of which a scheduled function is a run, or ``None``."""
    return Cron.objects.using(function._state.db).filter(runs__function=function).first()


def settle_last_run(database: Database, cron: Cron, now: datetime) -> CronRun | None:
    """Record how the last run of a cron ended if it has, and return it if it is unfinished.

    The caller has locked the cron, and saves it.
    """
    if cron.last_run_id is None:
        return None
    # Locked, because a plain read would not see a run that is newer than the snapshot of the caller's transaction.
    runs = CronRun.objects.using(database.using).select_for_update()
    run = runs.filter(pk=cron.last_run_id, state=CronRunState.SCHEDULED).first()
    if run is None or run.function_id is None:
        return None
    functions = ScheduledFunction.objects.using(database.using).filter(pk=run.function_id)
    functions = functions.only("state", "error", "completed_time")
    function = functions.first() or functions.select_for_update().first()  # gone, or newer than the snapshot
    if function is not None and function.state in UNFINISHED:
        return run
    outcome = CronRunState(function.state) if function else CronRunState.UNKNOWN  # the three ends are named alike
    run.state = outcome
    run.error = function.error[:LONGEST_ERROR] if function else ""
    run.completed_time = function.completed_time if function else None
    run.save(using=database.using, update_fields=["state", "error", "completed_time"])
    count_outcome(cron, outcome, run.error, now)
    return None


def count_outcome(cron: Cron, outcome: CronRunState, error: str, now: datetime) -> None:
    """Count failures in a row, and pause the cron when there are as many as its schedule allows."""
    if outcome is CronRunState.SUCCESS:
        cron.failures = 0
    elif outcome in (CronRunState.FAILED, CronRunState.REFUSED):
        cron.failures += 1
        most = cron.pause_after_failures
        if most is not None and cron.failures >= most and cron.paused_time is None:
            pause(cron, f"It has failed {cron.failures} times in a row, most recently with: {error}", now)


def pause(cron: Cron, reason: str, now: datetime) -> None:
    """Pause a cron that is locked; the caller saves it."""
    cron.paused_time = now
    cron.paused_reason = reason[:LONGEST_REASON]
    cron.next_time = None


def record_passed_over(database: Database, cron: Cron, streak: Streak, state: CronRunState, now: datetime) -> bool:
    """Record slots that have no run; return whether they have a new record, or share that of slots before them."""
    records = CronRun.objects.using(database.using).filter(cron=cron)
    before = records.order_by("-pk").first()
    if before is not None and before.state == state:
        before.last_slot = streak.last
        before.slots += streak.count
        before.time = now
        before.save(using=database.using, update_fields=["last_slot", "slots", "time"])
        return False
    records.create(cron=cron, slot=streak.first, last_slot=streak.last, slots=streak.count, state=state, time=now)
    return True


def settle_finished_runs(database: Database) -> None:
    """Record how runs ended, also those of crons that do not come up again for long."""
    crons = Cron.objects.using(database.using).filter(last_run__state=CronRunState.SCHEDULED)
    finished = crons.exclude(last_run__function__state__in=UNFINISHED)
    for cron_id in list(finished.values_list("pk", flat=True)):
        with transaction.atomic(using=database.using):
            cron = lock_if_free(database, pk=cron_id)
            if cron is not None:
                settle_last_run(database, cron, database.current_time())
                cron.save(using=database.using)


def delete_expired_history(database: Database) -> None:
    """Delete records that are older than ``RETENTION``, but keep the last ones of each cron."""
    retention = get_settings().RETENTION
    if retention is None:
        return
    records = CronRun.objects.using(database.using)
    expired = records.filter(time__lt=database.ago(retention)).exclude(state=CronRunState.SCHEDULED)
    for cron_id in list(expired.order_by().values_list("cron", flat=True).distinct()):
        of_cron = records.filter(cron=cron_id)
        kept = list(of_cron.order_by("-pk").values_list("pk", flat=True)[:ALWAYS_KEPT])
        if kept:  # else somebody has just deleted the cron
            old = expired.filter(cron=cron_id, pk__lt=kept[-1])
            deletion.warn_of_kept("cron runs", list(deletion.delete(database, old, by="pk")))
