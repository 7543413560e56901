"""What a limit costs that is not reached, counted in the protocol between client and server."""

import pytest

from django_scheduler import Concurrency, Context, action, ctx, mutation
from django_scheduler.models import ScheduledFunction, State
from tests.executor.protocol import protocol_of_worker
from tests.support.in_process import execute_with_one_worker, executing
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.only_on("postgresql"), pytest.mark.django_db(transaction=True)]


@mutation(concurrency=Concurrency(2, key="account"))
def do_nothing_within_a_limit(ctx: Context, *, account: int) -> None: ...


@action(concurrency=Concurrency(1, key="account"))
def act_within_a_limit(ctx: Context, *, account: int) -> None: ...


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
