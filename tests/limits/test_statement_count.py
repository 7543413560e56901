"""What a limit costs that is not reached, counted in the protocol between client and server."""

from datetime import timedelta

import pytest

from django_scheduler import Concurrency, Context, RateLimit, action, ctx, mutation
from django_scheduler.databases import database_for
from django_scheduler.models import ScheduledFunction, State
from tests.executor.protocol import protocol_of_worker
from tests.support.in_process import execute_with_one_worker, executing
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.only_on("postgresql"), pytest.mark.django_db(transaction=True)]


@mutation(concurrency=Concurrency(2, key="account"))
def do_nothing_within_a_limit(ctx: Context, *, account: int) -> None: ...


@action(concurrency=Concurrency(1, key="account"))
def act_within_a_limit(ctx: Context, *, account: int) -> None: ...


HOURLY = RateLimit(100, per=timedelta(hours=1), key="account", name="hourly_at_most")


@mutation(rate_limit=HOURLY)
def do_nothing_within_a_rate(ctx: Context, *, account: int) -> None: ...


@action(rate_limit=HOURLY)
def act_within_a_rate(ctx: Context, *, account: int) -> None: ...


def add_slots(*accounts: int) -> None:
    """Insert what is inserted when it is first missed."""
    keys = [f"hourly_at_most rate [{account}]" for account in accounts]
    database_for("default").add_slots([(key, number) for key in keys for number in range(HOURLY.limit)])


@pytest.fixture(autouse=True)
def no_body_is_late(monkeypatch):
    """However busy the machine is: one that is late takes its slot again, which is another statement."""
    monkeypatch.setattr("django_scheduler.functions.limits.MOST_DELAY", HOURLY.per)


#: The thread that takes slots of rate limits for mutations.
STARTS = "django_scheduler second session"


def test_lone_mutation_costs_one_statement_more(tmp_path):
    ctx.scheduler.run_after(0, do_nothing_within_a_limit, account=1)
    execute_with_one_worker()  # the slots of a key are inserted when they are first missed
    ctx.scheduler.run_after(0, do_nothing_within_a_limit, account=1)
    with protocol_of_worker(tmp_path / "protocol") as protocol:
        execute_with_one_worker()
    assert protocol.transactions == [["BEGIN", "SELECT", "SELECT", "UPDATE", "COMMIT"]]


def test_action_costs_one_statement_more(tmp_path):
    ctx.scheduler.run_after(0, act_within_a_limit, account=1)
    execute_with_one_worker()
    ctx.scheduler.run_after(0, act_within_a_limit, account=1)
    with protocol_of_worker(tmp_path / "protocol") as protocol:
        execute_with_one_worker()
    assert protocol.transactions == [["BEGIN", "SELECT", "UPDATE", "UPDATE", "COMMIT"]]
    assert protocol.statements.count("UPDATE") == 3


def test_group_costs_one_statement_more_whatever_the_number_of_limits(tmp_path, growing_groups):
    for each in range(4):
        ctx.scheduler.run_after(0, do_nothing_within_a_limit, account=each)
    execute_with_one_worker()
    ids = ctx.scheduler.run_after_many(0, do_nothing_within_a_limit, [{"account": n % 4} for n in range(50)])
    with protocol_of_worker(tmp_path / "protocol") as protocol, executing(concurrency=1):
        succeeded = ScheduledFunction.objects.filter(pk__in=ids, state=State.SUCCESS)
        wait_until(lambda: succeeded.count() == 50, "all of them succeeded")
    executed = [each for each in protocol.transactions if "UPDATE" in each]
    assert executed[0] == ["BEGIN", "SELECT", "SELECT", "UPDATE", "COMMIT"]
    assert all(each == ["BEGIN", "SELECT", "SELECT", "SELECT", "SET", "UPDATE", "COMMIT"] for each in executed[1:])
    assert len(executed) == 6


def test_lone_mutation_with_a_rate_limit_costs_one_statement_more_of_another_session(tmp_path):
    add_slots(1)
    ctx.scheduler.run_after(0, do_nothing_within_a_rate, account=1)
    with (
        protocol_of_worker(tmp_path / "worker") as of_worker,
        protocol_of_worker(tmp_path / "starts", thread=STARTS) as of_starts,
    ):
        execute_with_one_worker()
    assert of_worker.transactions == [["BEGIN", "SELECT", "UPDATE", "COMMIT"]]
    assert of_starts.statements == ["UPDATE"]


def test_action_with_a_rate_limit_costs_one_statement_more(tmp_path):
    add_slots(1)
    ctx.scheduler.run_after(0, act_within_a_rate, account=1)
    with protocol_of_worker(tmp_path / "protocol") as protocol:
        execute_with_one_worker()
    assert protocol.transactions == [["BEGIN", "SELECT", "UPDATE", "UPDATE", "COMMIT"]]
    assert protocol.statements.count("UPDATE") == 3


def test_group_with_rate_limits_costs_one_statement_more_whatever_their_number(tmp_path, growing_groups):
    add_slots(*range(4))
    ids = ctx.scheduler.run_after_many(0, do_nothing_within_a_rate, [{"account": n % 4} for n in range(50)])
    with (
        protocol_of_worker(tmp_path / "worker") as of_worker,
        protocol_of_worker(tmp_path / "starts", thread=STARTS) as of_starts,
    ):
        execute_with_one_worker()  # an executor would first delete slots that nobody uses
    assert ScheduledFunction.objects.filter(pk__in=ids, state=State.SUCCESS).count() == 50
    executed = [each for each in of_worker.transactions if "UPDATE" in each]
    assert executed[0] == ["BEGIN", "SELECT", "UPDATE", "COMMIT"]
    assert all(each == ["BEGIN", "SELECT", "SELECT", "SET", "UPDATE", "COMMIT"] for each in executed[1:])
    assert of_starts.statements == ["UPDATE"] * len(executed)
