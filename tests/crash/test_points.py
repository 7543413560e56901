"""An executor meets a fault at each point that it comes to. Its supervisor goes on."""

import pytest
from django.db.models import F

from django_scheduler import ctx
from django_scheduler.models import Failure, ScheduledFunction, State
from tests.crash.faults import IN_ACTION, IN_MUTATION, fault, has_struck
from tests.models import Entry
from tests.processes import functions as process_functions
from tests.support.waiting import wait_until

#: How many threads execute in one process, unless the command is told otherwise.
WORKERS = 8


#: The points that the quick suite tries.
QUICK = {"in the body", "before COMMIT", "after COMMIT", "in the body of an action", "after the body of an action"}
assert {*IN_MUTATION, *IN_ACTION} >= QUICK


def with_marks(points):
    return [pytest.param(each, marks=() if each in QUICK else pytest.mark.thorough) for each in points]


@pytest.fixture
def strike(supervise, child_environment, tmp_path):
    """Start executors of which one meets a fault."""

    def start(point, how, **settings):
        child_environment.update(fault(point, how, tmp_path))
        return supervise(BACKOFF_INITIAL=0.1, **settings)

    return start


def run_into(strike, ledger, tmp_path, point, how):
    posts = ledger.schedule_posts(12)
    supervised = strike(point, how)
    ledger.wait_until_all_is_decided()
    wait_until(lambda: has_struck(tmp_path), f"it came to the point {point}")
    assert supervised.stop() == 0
    ledger.check()
    rows = ScheduledFunction.objects.all()
    assert rows.filter(pk__in=posts, state=State.SUCCESS).count() == len(posts)
    assert rows.filter(name="tests:tell").count() == len(posts)
    return rows.filter(name="tests:tell").exclude(state=State.SUCCESS)


@pytest.mark.parametrize("point", with_marks(IN_MUTATION))
def test_executor_that_is_killed_in_a_mutation(strike, ledger, tmp_path, point):
    failed = run_into(strike, ledger, tmp_path, point, "SIGKILL")
    # Actions that another thread was executing.
    assert not failed.exclude(failure=Failure.LOST).exists()
    assert len(failed) <= 1


@pytest.mark.parametrize("point", with_marks(IN_ACTION))
def test_executor_that_is_killed_in_an_action(strike, ledger, tmp_path, point):
    failed = run_into(strike, ledger, tmp_path, point, "SIGKILL")
    assert not failed.exclude(failure=Failure.LOST).exists()
    if point != "after the record of an action":
        assert 1 <= len(failed) <= WORKERS  # each executes one, and those of a backlog begin together


@pytest.mark.only_on("postgresql", "mysql")
@pytest.mark.parametrize("point", with_marks(IN_MUTATION))
def test_session_that_ends_in_a_mutation(strike, ledger, tmp_path, point):
    assert not run_into(strike, ledger, tmp_path, point, "the end of its session")


@pytest.mark.only_on("postgresql", "mysql")
@pytest.mark.parametrize("point", with_marks(IN_ACTION))
def test_session_that_ends_in_an_action(strike, ledger, tmp_path, point):
    failed = run_into(strike, ledger, tmp_path, point, "the end of its session")
    # Its own statements are its own business: the first one after the end of the session fails.
    assert [row.failure for row in failed] == ([Failure.ERROR] if point == "after the claim of an action" else [])


def test_executor_that_is_killed_in_retention(strike, ledger, tmp_path):
    old = ledger.schedule_posts(5)
    ScheduledFunction.objects.update(state=State.FAILED, failure=Failure.ERROR, completed_time=F("creation_time"))
    supervised = strike("in retention", "SIGKILL", RETENTION=0.001)
    supervised.wait_until_executing(2)
    wait_until(lambda: not ScheduledFunction.objects.filter(pk__in=old).exists(), "retention was done in the end")
    assert has_struck(tmp_path)
    assert supervised.stop() == 0
    ledger.check()


def test_executor_that_is_killed_in_recovery(strike, ledger, tmp_path, executors, gate):
    action_id = ctx.scheduler.run_after(0, process_functions.note_and_wait, label="told", gate=gate.path)
    killed = executors.start()
    wait_until(lambda: gate.arrivals == 1, "the action came to the gate")
    killed.kill()
    supervised = strike("in recovery", "SIGKILL")
    supervised.wait_until_executing(2)
    wait_until(lambda: ScheduledFunction.objects.get(pk=action_id).state == State.FAILED, "it was recorded as lost")
    assert has_struck(tmp_path)
    assert Entry.objects.count() == 1
    assert supervised.stop() == 0
    ledger.check()


def test_executor_that_is_killed_in_a_heartbeat(strike, ledger, tmp_path):
    run_into(strike, ledger, tmp_path, "in a heartbeat", "SIGKILL")
