"""What ``run_due()``, ``run_all()`` and ``advance()`` execute: inside of a test's transaction, and without one."""

from datetime import timedelta
from functools import partial

import pytest
from django.db import IntegrityError, OperationalError, connection, connections, transaction
from django.utils import timezone

from django_scheduler import Context, action, ctx
from django_scheduler.databases import database_for
from django_scheduler.errors import BrokenTransaction, FunctionNotFound
from django_scheduler.models import Failure, ScheduledFunction, State
from django_scheduler.testing import TooManyRuns
from tests.functions import note, note_and_raise, note_async, write, write_and_raise, write_then_schedule
from tests.models import Entry, Line
from tests.support.records import history
from tests.testing import functions
from tests.testing.functions import labels


class Behavior:
    def test_nothing_runs_by_itself(self, scheduler):
        ctx.scheduler.run_after(0, write, label="due")

        assert labels() == []

    def test_time_stands_still_and_what_is_not_due_does_not_run(self, scheduler):
        ctx.scheduler.run_after(1, write, label="in a millisecond")

        assert scheduler.run_due() == []
        assert labels() == []

    def test_one_wave_is_what_is_due_in_order_without_what_it_schedules(self, scheduler):
        ctx.scheduler.run_after(0, write_then_schedule, label="second")
        ctx.scheduler.run_at(timezone.now() - timedelta(hours=1), write, label="third")
        ctx.scheduler.run_after(0, functions.write_first, label="first: priority")

        first, second, third = scheduler.run_due()

        assert labels() == ["first: priority", "second", "third"]
        assert [first.state, second.state, third.state] == [State.SUCCESS] * 3
        scheduler.assert_scheduled("tests:count_entries")

    def test_advancing_executes_only_what_becomes_due_each_at_its_own_time(self, scheduler):
        start = timezone.now()
        ctx.scheduler.run_after(timedelta(hours=1), write, label="in an hour")
        ctx.scheduler.run_after(timedelta(hours=3), write, label="in three hours")

        (executed,) = scheduler.advance(hours=2)

        assert executed.completed_time == start + timedelta(hours=1)
        assert timezone.now() == start + timedelta(hours=2)
        assert labels() == ["in an hour"]

        scheduler.advance(timedelta(hours=1))
        assert labels() == ["in an hour", "in three hours"]

    def test_what_is_moved_runs_at_its_new_time_and_what_is_to_run_again_runs_when_the_test_says_so(self, scheduler):
        start = timezone.now()
        moved = ctx.scheduler.run_after(timedelta(hours=1), write, label="moved")
        sooner = ctx.scheduler.run_after(timedelta(hours=1), write, label="sooner")
        ctx.scheduler.reschedule(moved, start + timedelta(hours=3))
        ctx.scheduler.run_now(sooner)

        assert [executed.pk for executed in scheduler.run_due()] == [sooner]
        assert scheduler.advance(hours=2) == []
        (executed,) = scheduler.advance(hours=2)
        assert executed.completed_time == start + timedelta(hours=3)

        again = ctx.scheduler.run_again(moved)
        assert labels() == ["sooner", "moved"]
        assert [executed.pk for executed in scheduler.run_due()] == [again]

    def test_advancing_goes_through_chains(self, scheduler):
        ctx.scheduler.run_after(0, functions.count_down, days=5)

        assert len(scheduler.advance(days=2)) == 3
        assert labels() == ["5 days left", "4 days left", "3 days left"]

    def test_run_all_drains_chains_however_far_they_lead(self, scheduler):
        start = timezone.now()
        ctx.scheduler.run_after(0, functions.count_down, days=3)

        assert len(scheduler.run_all()) == 4

        assert timezone.now() == start + timedelta(days=3)
        scheduler.assert_nothing_scheduled()

    def test_a_function_that_schedules_itself_is_caught_and_named(self, scheduler):
        ctx.scheduler.run_after(0, functions.poll)

        with pytest.raises(
            TooManyRuns, match=r"tests:poll keeps scheduling itself: tests:poll -> tests:poll"
        ) as caught:
            scheduler.run_all(max_runs=5)

        assert "5 functions have run" in str(caught.value)

    def test_functions_that_schedule_each_other_are_caught_and_named(self, scheduler):
        ctx.scheduler.run_after(0, functions.ping)

        with pytest.raises(TooManyRuns, match="tests:ping -> tests:pong -> tests:ping"):
            scheduler.run_all(max_runs=10)

    def test_as_many_runs_as_are_allowed_are_fine(self, scheduler):
        ctx.scheduler.run_after(0, functions.count_down, days=3)

        assert len(scheduler.run_all(max_runs=4)) == 4

    def test_a_failure_is_raised_as_it_is_once_all_have_run(self, scheduler):
        failing = ctx.scheduler.run_after(0, write_and_raise, label="lost")
        ctx.scheduler.run_after(0, write, label="kept")

        with pytest.raises(ValueError, match="lost is not to be") as caught:
            scheduler.run_due()

        assert caught.value.__notes__ == [f"The scheduled function was tests:write_and_raise {failing}."]

        assert labels() == ["kept"]
        row = ScheduledFunction.objects.get(pk=failing)
        assert (row.state, row.failure, row.error) == (State.FAILED, Failure.ERROR, "ValueError: lost is not to be")

    @pytest.mark.parametrize("function", [write_and_raise, note_and_raise, functions.raise_in_hook])
    def test_a_failure_says_where_it_comes_from(self, scheduler, function):
        is_hook = function is functions.raise_in_hook
        ctx.scheduler.run_after(0, function, **({} if is_hook else {"label": "x"}))

        with pytest.raises(ValueError, match=r"is not to be|went wrong") as caught:
            scheduler.run_due()

        assert caught.traceback[-1].name == ("hook" if is_hook else function.last_name)

    def test_several_failures_are_raised_together(self, scheduler):
        ctx.scheduler.run_after(0, write_and_raise, label="one")
        ctx.scheduler.run_after(0, note_and_raise, label="two")

        with pytest.raises(ExceptionGroup) as caught:
            scheduler.run_all()

        assert [str(error) for error in caught.value.exceptions] == ["one is not to be", "two went wrong"]

    def test_failures_can_be_looked_at_instead(self, scheduler):
        ctx.scheduler.run_after(0, note_and_raise, label="an action")

        (row,) = scheduler.run_due(raise_failures=False)

        assert (row.state, row.error) == (State.FAILED, "ValueError: an action went wrong")
        assert labels() == ["an action"]

    def test_attempts_that_are_repeated_are_no_failures_and_follow_in_time(self, scheduler):
        start = timezone.now()
        ctx.scheduler.run_after(0, functions.write_in_third_attempt)

        (first,) = scheduler.run_due()
        assert (first.state, first.attempts, first.error) == (State.PENDING, 1, "ValueError: not yet")
        assert start <= first.due_time <= start + timedelta(seconds=60)
        scheduler.run_all()

        row = ScheduledFunction.objects.get()
        assert (row.state, row.attempts, row.failures) == (State.SUCCESS, 3, 2)
        assert [each["time"] for each in history(row)] == [each.isoformat() for each in (start, first.due_time)]
        assert labels() == ["written"]

    def test_last_attempt_of_several_is_the_failure(self, scheduler):
        failing = ctx.scheduler.run_after(0, functions.note_in_vain)

        with pytest.raises(ValueError, match="never") as caught:
            scheduler.advance(hours=1)

        assert caught.value.__notes__ == [f"The scheduled function was tests:note_in_vain {failing}."]
        assert labels() == ["attempt 1", "attempt 2", "attempt 3"]
        assert ScheduledFunction.objects.get().state == State.FAILED

    def test_what_a_body_asks_for_comes_at_its_time(self, scheduler):
        start = timezone.now()
        ctx.scheduler.run_after(0, functions.wait_until_ready)

        assert len(scheduler.advance(minutes=59)) == 1
        assert labels() == ["asked 1"]
        scheduler.run_all()

        assert labels() == ["asked 1", "asked 2", "asked 3"]
        assert ScheduledFunction.objects.get().completed_time == start + timedelta(hours=2)

    def test_a_function_that_is_gone_is_a_failure(self, scheduler):
        ctx.scheduler.run_after(0, write, label="x")
        ScheduledFunction.objects.update(name="tests:writ")

        with pytest.raises(FunctionNotFound, match="tests:write"):
            scheduler.run_due()

        assert ScheduledFunction.objects.get().failure == Failure.MISSING

    def test_arguments_that_no_longer_fit_are_a_failure(self, scheduler):
        ctx.scheduler.run_after(0, write, label="x")
        ScheduledFunction.objects.update(args={"lable": "x"})

        with pytest.raises(TypeError, match="label"):
            scheduler.run_due()

    def test_an_end_that_cannot_be_recorded_fails_the_test_at_once(self, scheduler, monkeypatch):
        database = database_for("default")

        def lose_connection(*args, **kwargs):
            raise OperationalError("the connection is lost")

        @action
        def break_the_record(ctx: Context) -> None:
            monkeypatch.setattr(type(database), "is_transient", lambda *args: True)
            monkeypatch.setattr(type(database), "change", lose_connection)

        ctx.scheduler.run_after(0, break_the_record)

        with pytest.raises(OperationalError, match="the connection is lost"):
            scheduler.run_due()

    def test_the_record_is_that_of_any_function(self, scheduler):
        start = timezone.now()
        parent = ctx.scheduler.run_after(timedelta(hours=1), write_then_schedule, label="x")
        scheduler.run_all()

        mutation, child = ScheduledFunction.objects.order_by("pk")
        assert (mutation.pk, child.parent_id) == (parent, parent)
        assert child.decoded_result() == 1
        assert mutation.creation_time == start
        assert mutation.due_time == mutation.started_time == mutation.completed_time == start + timedelta(hours=1)
        assert (mutation.attempts, mutation.executor) == (1, "test")

    def test_a_function_knows_its_id(self, scheduler):
        ids = [ctx.scheduler.run_after(0, function, label="x") for function in (write, note, note_async)]
        scheduler.run_all()

        assert list(Entry.objects.order_by("pk").values_list("function_id", flat=True)) == ids

    def test_hooks_run_after_the_mutation_in_order_before_the_next_function(self, scheduler):
        ctx.scheduler.run_after(0, functions.write_and_have_hooks, label="one")
        ctx.scheduler.run_after(0, functions.write_and_have_hooks, label="two")
        scheduler.run_due()

        assert labels() == [f"{label}: {what}" for label in ("one", "two") for what in ("body", "hook 1", "hook 2")]

    def test_a_hook_that_raises_is_raised_although_the_function_has_succeeded(self, scheduler):
        ctx.scheduler.run_after(0, functions.raise_in_hook)

        with pytest.raises(ValueError, match="the hook went wrong"):
            scheduler.run_due()

        assert ScheduledFunction.objects.get().state == State.SUCCESS

    def test_hooks_of_a_mutation_that_fails_do_not_run(self, scheduler):
        ctx.scheduler.run_after(0, functions.register_hook_and_raise)

        scheduler.run_due(raise_failures=False)

        assert labels() == []

    def test_a_mutation_that_hides_a_database_error_fails_with_all_that_it_wrote(self, scheduler):
        ctx.scheduler.run_after(0, functions.catch_database_error)

        with pytest.raises((BrokenTransaction, transaction.TransactionManagementError)):
            scheduler.run_due()

        assert labels() == []
        assert ScheduledFunction.objects.get().state == State.FAILED

    def test_a_violated_constraint_is_found_at_the_latest_at_commit(self, scheduler):
        ctx.scheduler.run_after(0, functions.write_dangling_line)

        with pytest.raises(IntegrityError):
            scheduler.run_due()

        assert not Line.objects.exists()
        assert ScheduledFunction.objects.get().state == State.FAILED

    def test_an_action_runs_outside_of_any_transaction(self, scheduler):
        ctx.scheduler.run_after(0, functions.meet_database_error)

        (row,) = scheduler.run_due()

        assert row.decoded_result() == "survived"
        assert labels() == ["before", "after", "in a transaction", "hook", "end"]

    def test_an_action_may_close_its_connection(self, scheduler):
        ctx.scheduler.run_after(0, write, label="before")
        ctx.scheduler.run_after(0, functions.close_connection)
        kind_of_connection = type(connections["default"])
        scheduler.run_due()

        assert labels() == ["before", "afterwards"]
        assert type(connections["default"]) is kind_of_connection  # and guarded no longer

    def test_an_async_action_sees_the_tests_database_and_calls_mutations(self, scheduler):
        ctx.scheduler.run_after(0, functions.call_mutation, label="x")
        scheduler.run_due()

        assert labels() == ["x: body", "x: hook 1", "x: hook 2", "x: action"]

    def test_a_transient_error_is_retried_when_its_time_has_come(self, scheduler):
        function_id = ctx.scheduler.run_after(0, functions.try_until, attempts=3)

        (row,) = scheduler.run_due()
        assert (row.state, row.attempts, row.error) == (State.PENDING, 1, "TransientError: not yet")
        assert labels() == []

        assert [row.pk for row in scheduler.run_all()] == [function_id] * 2
        assert labels() == ["an attempt"]
        assert ScheduledFunction.objects.get().decoded_result() == "at last"

    def test_a_function_that_is_repeated_for_ever_is_caught_and_named(self, scheduler):
        ctx.scheduler.run_after(0, functions.try_until, attempts=1_000)

        with pytest.raises(TooManyRuns, match="tests:try_until is repeated again and again: TransientError: not yet"):
            scheduler.run_all(max_runs=5)

    def test_no_limit_keeps_a_function_waiting(self, scheduler):
        ctx.scheduler.run_after(1, functions.note_in_turn, label="second")
        ctx.scheduler.run_after(0, functions.write_in_turn, label="first")
        ctx.scheduler.run_after_many(2, functions.write_in_turn, [{"label": "third"}, {"label": "fourth"}])

        (first,) = scheduler.run_due()

        assert (first.args, first.state) == ({"label": "first"}, State.SUCCESS)
        scheduler.advance(seconds=1)
        assert labels() == ["first", "second", "third", "fourth"]
        scheduler.assert_nothing_scheduled()

    def test_what_an_earlier_function_cancels_does_not_run(self, scheduler):
        late = ctx.scheduler.run_at(timezone.now() + timedelta(days=1), write, label="canceled by a function")
        ctx.scheduler.run_after(0, functions.cancel_other, function_id=late)
        ctx.scheduler.cancel(ctx.scheduler.run_after(0, write, label="canceled by the test"))
        also_due = ctx.scheduler.run_after(1, write, label="canceled in its own wave")
        ctx.scheduler.run_after(0, functions.cancel_other, function_id=also_due)
        scheduler.run_all()

        assert labels() == []

    def test_what_the_test_itself_has_left_to_its_commit_stays_there(self, scheduler):
        with transaction.atomic():
            transaction.on_commit(partial(functions.note_down, "the test's hook"))
            ctx.scheduler.run_after(0, write, label="x")
        hooks = list(connection.run_on_commit)

        scheduler.run_due()

        assert connection.run_on_commit == hooks


@pytest.mark.django_db
class TestInsideATransaction(Behavior):
    def test_a_block_that_is_not_left_fails_and_leaves_nothing_behind(self, scheduler):
        ctx.scheduler.run_after(0, functions.leave_transaction_open)

        with pytest.raises(BrokenTransaction):
            scheduler.run_due()

        assert labels() == []
        assert ScheduledFunction.objects.get().state == State.FAILED

    def test_a_body_that_ends_the_transaction_of_the_test_is_named(self, scheduler):
        function_id = ctx.scheduler.run_after(0, functions.end_transaction_by_sql)

        with pytest.raises(BrokenTransaction, match="has ended the transaction of the test itself") as raised:
            scheduler.run_due()

        assert raised.value.__notes__ == [f"The scheduled function was tests:end_transaction_by_sql {function_id}."]

    def test_the_test_is_in_its_transaction_again(self, scheduler):
        before = {name: getattr(connection, name) for name in ("in_atomic_block", "savepoint_ids", "autocommit")}
        ctx.scheduler.run_after(0, functions.meet_database_error)
        scheduler.run_due()

        assert {name: getattr(connection, name) for name in before} == before
        assert connection.in_atomic_block
        assert not vars(connection).get("close")


@pytest.mark.django_db(transaction=True)
class TestWithoutATransaction(Behavior):
    pass
