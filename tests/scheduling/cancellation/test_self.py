import pytest

from django_scheduler import ctx
from django_scheduler.models import Failure, State
from tests.models import Entry
from tests.scheduling.cancellation import functions
from tests.scheduling.cancellation import self_canceling_functions as self_canceling
from tests.support.records import record


@pytest.mark.parametrize(
    "function",
    [
        self_canceling.cancel_self_in_mutation,
        self_canceling.cancel_self_through_import,
        self_canceling.cancel_self_in_action,
        self_canceling.cancel_self_in_async_action,
        self_canceling.cancel_self_through_mutation,
        self_canceling.cancel_self_through_action,
    ],
    ids=lambda function: function.last_name,
)
def test_a_function_cannot_cancel_itself_and_goes_on(function, execute_due):
    function_id = ctx.scheduler.run_after(0, function)
    execute_due()
    ended = record(function_id)
    assert (ended.state, ended.decoded_result()) == (State.SUCCESS, "refused")


def test_a_mutation_that_does_not_catch_the_refusal_fails(execute_due):
    function_id = ctx.scheduler.run_after(0, self_canceling.cancel_self_and_do_not_catch)
    execute_due()
    ended = record(function_id)
    assert (ended.state, ended.failure) == (State.FAILED, Failure.ERROR)
    assert ended.error.startswith("CannotCancelSelf: ")
    assert str(function_id) in ended.error
    assert not Entry.objects.exists()


@pytest.mark.parametrize("function", [functions.cancel_all_in_mutation, functions.cancel_all_in_action])
def test_cancel_all_leaves_out_the_function_that_calls_it(function, execute_due):
    function_id = ctx.scheduler.run_after(0, function)
    others = ctx.scheduler.run_after_many(60_000, functions.leave_trace, [{"label": "later"}] * 3)
    execute_due()
    ended = record(function_id)
    assert (ended.state, ended.decoded_result()) == (State.SUCCESS, 3)
    assert {record(other).state for other in others} == {State.CANCELED}
