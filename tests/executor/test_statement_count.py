"""What an execution costs on PostgreSQL, counted in the protocol between client and server."""

import pytest

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.models import ScheduledFunction, State
from tests.executor.protocol import protocol_of_worker
from tests.support.in_process import executing
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.only_on("postgresql")

MUTATION = ["BEGIN", "SELECT", "UPDATE", "COMMIT"]


@mutation
def do_nothing_in_a_mutation(ctx: Context) -> None: ...


@mutation(alone=True)
def do_nothing_alone(ctx: Context) -> None: ...


@action
def do_nothing_in_an_action(ctx: Context) -> None: ...


def test_lone_mutation_costs_one_commit_and_four_statements_besides_its_body(transactional_db, tmp_path):
    function_id = ctx.scheduler.run_after(0, do_nothing_in_a_mutation)
    with protocol_of_worker(tmp_path / "protocol") as protocol, executing(concurrency=1):
        wait_until(lambda: record(function_id).state == State.SUCCESS, "it succeeded")

    assert protocol.transactions == [MUTATION]
    assert protocol.statements.count("COMMIT") == 1


def test_mutations_of_a_backlog_share_what_they_cost(transactional_db, tmp_path, growing_groups):
    ids = ctx.scheduler.run_after_many(0, do_nothing_in_a_mutation, [{}] * 50)

    with protocol_of_worker(tmp_path / "protocol") as protocol, executing(concurrency=1):
        succeeded = ScheduledFunction.objects.filter(pk__in=ids, state=State.SUCCESS)
        wait_until(lambda: succeeded.count() == 50, "all of them succeeded")

    executed = [each for each in protocol.transactions if "UPDATE" in each]
    assert executed[0] == MUTATION
    assert len(executed) == 6  # one, two, four, eight, sixteen and the rest
    # Claim, whether and how to group, one record for all.
    assert all(
        each == ["BEGIN", "SELECT", "SELECT", "SET", "UPDATE", "COMMIT"] for each in executed if each != MUTATION
    )
    besides = len(protocol.statements) - sum(map(len, executed))
    assert besides <= 20  # it polls, and has set up its session


def test_mutation_that_must_be_alone_costs_the_same_in_a_backlog(transactional_db, tmp_path):
    ids = ctx.scheduler.run_after_many(0, do_nothing_alone, [{}] * 20)

    with protocol_of_worker(tmp_path / "protocol") as protocol, executing(concurrency=1):
        succeeded = ScheduledFunction.objects.filter(pk__in=ids, state=State.SUCCESS)
        wait_until(lambda: succeeded.count() == 20, "all of them succeeded")

    assert [each for each in protocol.transactions if "UPDATE" in each] == [MUTATION] * 20


def test_action_costs_one_transaction_to_claim_and_one_statement_to_end(execute_due, tmp_path):
    ctx.scheduler.run_after(0, do_nothing_in_an_action)

    with protocol_of_worker(tmp_path / "protocol") as protocol:
        execute_due()

    assert protocol.transactions == [MUTATION]
    assert protocol.statements.count("UPDATE") == 2
