"""A mutation that is called directly: one transaction of its own, and what it returns."""

import pytest
from django.db import DatabaseError, connection, transaction

from django_scheduler import Context, api, ctx, mutation
from django_scheduler.errors import BrokenTransaction, SchedulerError, TransientError
from django_scheduler.models import ScheduledFunction
from tests.functions import write, write_and_raise
from tests.models import Entry
from tests.support.elsewhere import elsewhere

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("retry_at_once")]


def labels():
    return [entry.label for entry in Entry.objects.order_by("pk")]


@pytest.mark.parametrize("reference", [write, api.tests.write, "tests:write"], ids=str)
def test_it_runs_now_and_returns_what_the_mutation_returns(reference):
    entry_id = ctx.run_mutation(reference, label="a")
    assert elsewhere(Entry.objects.get).pk == entry_id
    assert not ScheduledFunction.objects.exists()


def test_it_gets_its_arguments_as_they_are():
    @mutation
    def take(ctx: Context, thing: object) -> object:
        return thing

    thing = object()
    assert ctx.run_mutation(take, thing) is ctx.run_mutation(take, thing=thing) is thing


def test_nobody_sees_what_it_writes_before_it_ends():
    @mutation
    def look(ctx: Context) -> list[str]:
        Entry.objects.create(label="a")
        ctx.scheduler.run_after(0, write, label="b")
        return elsewhere(lambda: [*labels(), *ScheduledFunction.objects.all()])

    assert ctx.run_mutation(look) == []
    assert labels() == ["a"]


def test_an_exception_undoes_it_and_reaches_the_caller_at_once():
    with pytest.raises(ValueError, match="a is not to be"):
        ctx.run_mutation(write_and_raise, label="a")
    assert labels() == []


def test_inside_a_transaction_it_is_a_savepoint():
    with transaction.atomic():
        Entry.objects.create(label="before")
        with pytest.raises(ValueError, match="a is not to be"):
            ctx.run_mutation(write_and_raise, label="a")
        ctx.run_mutation(write, label="after")
        assert elsewhere(labels) == []
    assert labels() == ["before", "after"]


def test_a_mutation_calls_another_as_a_savepoint_of_its_own_transaction():
    @mutation
    def outer(ctx: Context) -> None:
        ctx.run_mutation(write, label="first")
        with pytest.raises(ValueError, match="second"):
            ctx.run_mutation(write_and_raise, label="second")
        ctx.run_mutation(write, label="third")
        assert elsewhere(labels) == []

    ctx.run_mutation(outer)
    assert labels() == ["first", "third"]


def failing(times, error):
    """A mutation that writes, and raises the first so many times."""
    attempts: list[int] = []

    @mutation
    def flaky(ctx: Context) -> int:
        attempts.append(len(attempts))
        Entry.objects.create(label=f"attempt {len(attempts)}")
        if len(attempts) <= times:
            raise error
        return len(attempts)

    return flaky, attempts


@pytest.mark.parametrize("times", [1, 4])
def test_a_transient_error_repeats_it_from_the_start(times):
    flaky, _ = failing(times, TransientError("not yet"))
    assert ctx.run_mutation(flaky) == times + 1
    assert labels() == [f"attempt {times + 1}"]


def test_after_four_retries_the_error_goes_to_the_caller():
    flaky, attempts = failing(100, TransientError("not yet"))
    with pytest.raises(TransientError, match="not yet"):
        ctx.run_mutation(flaky)
    assert len(attempts) == 5
    assert labels() == []


def test_inside_a_transaction_it_is_not_repeated_because_the_transaction_is_the_callers():
    flaky, attempts = failing(1, TransientError("not yet"))
    with transaction.atomic(), pytest.raises(TransientError):
        ctx.run_mutation(flaky)
    assert len(attempts) == 1


def test_another_error_is_not_repeated():
    flaky, attempts = failing(1, RuntimeError("never"))
    with pytest.raises(RuntimeError):
        ctx.run_mutation(flaky)
    assert len(attempts) == 1


@pytest.mark.parametrize("error", [TransientError("too late"), RuntimeError("too late")], ids=repr)
def test_an_error_of_a_hook_after_the_commit_never_repeats_it(error):
    attempts: list[int] = []

    @mutation
    def with_hook(ctx: Context) -> None:
        attempts.append(1)
        Entry.objects.create(label="a")

        def explode():
            raise error

        transaction.on_commit(explode)

    with pytest.raises(type(error), match="too late"):
        ctx.run_mutation(with_hook)
    assert labels() == ["a"]
    assert len(attempts) == 1


def test_a_swallowed_database_error_that_has_broken_the_transaction_is_not_taken_for_success():
    @mutation
    def swallow(ctx: Context) -> None:
        Entry.objects.create(label="a")
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT * FROM no_such_table")
        except DatabaseError:
            pass

    if connection.vendor == "postgresql":
        with pytest.raises(BrokenTransaction, match="no_such_table") as caught:
            ctx.run_mutation(swallow)
        assert str(caught.value).startswith("tests:swallow: ")
        assert "with transaction.atomic()" in str(caught.value)
        assert isinstance(caught.value, SchedulerError)
        assert labels() == []
    else:  # the others go on after such an error, and so does the mutation
        ctx.run_mutation(swallow)
        assert labels() == ["a"]


def test_a_database_error_caught_around_a_savepoint_is_nothing_to_worry_about():
    @mutation
    def catch(ctx: Context) -> None:
        Entry.objects.create(label="a")
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")

    ctx.run_mutation(catch)
    assert labels() == ["a"]


def test_a_transaction_that_is_marked_for_rollback_is_not_taken_for_success():
    @mutation
    def mark(ctx: Context) -> None:
        Entry.objects.create(label="a")
        transaction.set_rollback(True)

    with pytest.raises(BrokenTransaction, match=r"^tests:mark: .*marked to be rolled back"):
        ctx.run_mutation(mark)
    assert labels() == []


def test_a_mutation_that_does_nothing_needs_no_statement_to_succeed():
    @mutation
    def nothing(ctx: Context) -> None: ...

    connection.close()
    assert ctx.run_mutation(nothing) is None
