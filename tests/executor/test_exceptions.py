"""Any exception of a body: failed once, with its error and traceback, and nothing written."""

import re
from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.errors import TransientError
from django_scheduler.executor.mutation import MutationExecution
from django_scheduler.models import Failure, ScheduledFunction, State
from tests.functions import write, write_and_raise
from tests.models import Entry
from tests.support.elsewhere import elsewhere
from tests.support.records import record


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class ExitsWhenAsked(Exception):
    def __str__(self) -> str:
        raise SystemExit("no words")


class OfAnotherType(Exception):
    def __str__(self) -> str:
        return 7  # type: ignore[return-value]  # noqa: PLE0307  (that is the point)


class WithoutName(type):
    def __getattribute__(cls, name: str) -> object:
        if name in ("__name__", "__qualname__"):
            raise SystemExit("no name")
        return super().__getattribute__(name)


class Nameless(Exception, metaclass=WithoutName): ...


class Text(str):
    """Text that raises whatever is done with it."""

    def __format__(self, spec: str) -> str:
        raise KeyboardInterrupt

    isascii = replace = encode = __len__ = __getitem__ = __format__  # type: ignore[assignment]


class SaysText(Exception):
    def __str__(self) -> str:
        return Text("text")


class DeniesEverything(Exception):
    """Raises when it is asked for anything, also for its class."""

    def __getattribute__(self, name: str) -> object:
        raise KeyboardInterrupt(name)

    def __repr__(self) -> str:
        raise SystemExit


class WithoutCause(DatabaseError):
    @property
    def __cause__(self) -> BaseException:  # type: ignore[override]
        raise GeneratorExit


class NoSource:
    """A loader of a module that cannot say what its source is."""

    def get_source(self, name: str) -> str:
        raise SystemExit(name)


def raise_without_source() -> None:
    module = {"__name__": "of_no_source", "__loader__": NoSource()}
    exec(compile("raise ValueError('from nowhere')", "<of no source>", "exec"), module)


def make_from_nowhere() -> BaseException:
    try:
        raise_without_source()
    except ValueError as error:
        return error
    raise AssertionError


def make_group_of_the_nameless() -> BaseException:
    return ExceptionGroup("several", [Nameless(), DeniesEverything()])


def make_group() -> BaseException:
    return BaseExceptionGroup("several", [ValueError("one"), KeyboardInterrupt("two")])


def make_chain() -> BaseException:
    error = ValueError("the last")
    error.__cause__ = KeyError("the first")
    return error


EXCEPTIONS = {
    "plain": (lambda: ValueError("not today"), "ValueError: not today"),
    "no message": (ValueError, "ValueError"),
    "exit": (lambda: SystemExit(3), "SystemExit: 3"),
    "interrupt": (KeyboardInterrupt, "KeyboardInterrupt"),
    "generator exit": (GeneratorExit, "GeneratorExit"),
    "unspeakable": (Unspeakable, "Unspeakable: (its message cannot be shown)"),
    "exits when asked": (ExitsWhenAsked, "ExitsWhenAsked: (its message cannot be shown)"),
    "of another type": (OfAnotherType, "OfAnotherType: (its message cannot be shown)"),
    "nameless": (Nameless, "Nameless"),
    "text that raises": (SaysText, "SaysText: text"),
    "denies everything": (DeniesEverything, "DeniesEverything"),
    "without cause": (WithoutCause, "WithoutCause"),
    "from nowhere": (make_from_nowhere, "ValueError: from nowhere"),
    "group of the nameless": (make_group_of_the_nameless, "ExceptionGroup: several (2 sub-exceptions)"),
    "nul": (lambda: ValueError("a\0b"), "ValueError: a\\x00b"),
    "lone surrogate": (lambda: ValueError("a\ud800b"), "ValueError: a\\ud800b"),
    "emoji": (lambda: ValueError("fine \N{GRINNING FACE}"), "ValueError: fine \\U0001f600"),
    "other scripts": (lambda: ValueError("größer, ложь, 嘘"), "ValueError: größer, ложь, 嘘"),
    "percent": (lambda: ValueError("100 % %s %(x)s {x}"), "ValueError: 100 % %s %(x)s {x}"),
    "group": (make_group, "BaseExceptionGroup: several (2 sub-exceptions)"),
    "chain": (make_chain, "ValueError: the last"),
    "stop iteration": (lambda: StopIteration(7), "StopIteration: 7"),
}


@mutation
def write_and_raise_exception(ctx: Context, *, which: str) -> None:
    Entry.objects.create(label=which)
    ctx.scheduler.run_after(0, write, label="child")
    make, _ = EXCEPTIONS[which]
    raise make()


@action
def note_and_raise_exception(ctx: Context, *, which: str) -> None:
    Entry.objects.create(label=which)
    make, _ = EXCEPTIONS[which]
    raise make()


@pytest.fixture
def every_exception(execute_due):
    def schedule_each(function):
        ids = {which: ctx.scheduler.run_after(0, function, which=which) for which in EXCEPTIONS}
        after_all = ctx.scheduler.run_after(0, write, label="after all of them")
        execute_due()
        assert record(after_all).state == State.SUCCESS
        return {which: record(function_id) for which, function_id in ids.items()}

    return schedule_each


def assert_failed_once(rows):
    for which, row in rows.items():
        _, error = EXCEPTIONS[which]
        assert (row.state, row.failure, row.attempts) == (State.FAILED, Failure.ERROR, 1)
        assert row.error == error
        assert "raise make()" in row.traceback or row.traceback.endswith("in " + row.name.partition(":")[2])
        assert row.result is None
        assert row.started_time <= row.completed_time


def test_mutation_that_raises_fails_once_and_nothing_that_it_wrote_or_scheduled_remains(every_exception):
    assert_failed_once(every_exception(write_and_raise_exception))

    assert [entry.label for entry in Entry.objects.all()] == ["after all of them"]


def test_action_that_raises_fails_once_and_what_it_did_remains(every_exception):
    assert_failed_once(every_exception(note_and_raise_exception))

    assert Entry.objects.count() == len(EXCEPTIONS) + 1


@mutation
def raise_at_length(ctx: Context, *, characters: str, length: int) -> None:
    raise ValueError("begin" + characters * length + "end")


@pytest.mark.parametrize("characters", ["x", "\0", "\ud800", "\N{GRINNING FACE}"])
def test_error_of_a_megabyte_is_kept_without_its_middle(execute_due, characters):
    function_id = ctx.scheduler.run_after(0, raise_at_length, characters="x", length=1)
    long_id = ctx.scheduler.run_after(0, raise_at_length, characters=characters, length=2**20)

    execute_due()

    assert record(function_id).error == "ValueError: beginxend"
    row = record(long_id)
    assert row.state == State.FAILED
    assert row.error.startswith("ValueError: begin")
    assert row.error.endswith("end")
    assert len(row.error) <= 10_000
    assert row.traceback.startswith("Traceback (most recent call last)")
    assert "in raise_at_length" in row.traceback
    assert row.traceback.rstrip().endswith("end")
    assert len(row.traceback) <= 50_000


@mutation
def recurse(ctx: Context) -> None:
    recurse.body(ctx)


def test_endless_recursion_fails(execute_due):
    function_id = ctx.scheduler.run_after(0, recurse)

    execute_due()

    assert record(function_id).error.startswith("RecursionError")


@action
async def raise_in_an_event_loop(ctx: Context) -> None:
    raise ValueError("from a coroutine")


@action
def raise_within_a_call(ctx: Context) -> None:
    ctx.run_mutation(raise_at_length, characters="", length=0)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (raise_at_length, {"characters": "", "length": 0}),
        (raise_in_an_event_loop, {}),
        (raise_within_a_call, {}),
    ],
)
def test_traceback_begins_in_the_function(execute_due, function, arguments):
    function_id = ctx.scheduler.run_after(0, function, **arguments)

    execute_due()

    first_frame = record(function_id).traceback.splitlines()[1]
    assert first_frame.endswith(f", in {function.body.__name__}")


KEPT = ZeroDivisionError("of the project")


def raise_kept(number: int) -> None:
    try:
        raise KeyError(number)
    except KeyError:
        raise KEPT  # noqa: B904  (that something else was being handled is on record)


@mutation
def raise_kept_in_mutation(ctx: Context, *, number: int) -> None:
    raise_kept(number)


@mutation
def raise_kept_in_hook(ctx: Context, *, number: int) -> None:
    transaction.on_commit(lambda: raise_kept(number))


@action
def raise_kept_in_action(ctx: Context, *, number: int) -> None:
    raise_kept(number)


@action
async def raise_kept_in_async_action(ctx: Context, *, number: int) -> None:
    raise_kept(number)


@pytest.mark.parametrize("function", [raise_kept_in_mutation, raise_kept_in_action, raise_kept_in_async_action])
def test_exception_that_a_project_keeps_brings_nothing_from_one_function_to_the_next(execute_due, function):
    ids = ctx.scheduler.run_after_many(0, function, [{"number": number} for number in range(5)])

    execute_due()

    tracebacks = [record(function_id).traceback for function_id in ids]
    assert [text.count("raise KEPT") for text in tracebacks] == [1] * 5
    assert [re.findall(r"KeyError: (\d)", text) for text in tracebacks] == [[str(number)] for number in range(5)]
    assert KEPT.__traceback__ is None


def test_exception_that_a_project_keeps_brings_nothing_from_one_hook_to_the_next(execute_due, caplog):
    ctx.scheduler.run_after_many(0, raise_kept_in_hook, [{"number": number} for number in range(5)])

    execute_due()

    failures = [each.exc_text for each in caplog.records if "an on_commit hook failed" in each.getMessage()]
    assert [text.count("raise KEPT") for text in failures] == [1] * 5
    assert KEPT.__traceback__ is None


@mutation
def write_and_ask_for_another_turn(ctx: Context, *, label: str) -> None:
    Entry.objects.create(label=label)
    raise TransientError("not yet")


@pytest.mark.parametrize("function", [write_and_raise, write_and_ask_for_another_turn])
def test_one_that_was_moved_before_its_end_was_recorded_runs_when_it_was_moved_to(
    function, transactional_db, execute_due, monkeypatch
):
    function_id = ctx.scheduler.run_after(0, function, label="a")
    later = timezone.now() + timedelta(days=1)
    record_it = MutationExecution.after_rollback

    def record_after_the_move(execution: MutationExecution, error: BaseException) -> None:
        elsewhere(lambda: ctx.scheduler.reschedule(function_id, later))
        record_it(execution, error)

    monkeypatch.setattr(MutationExecution, "after_rollback", record_after_the_move)
    execute_due()

    row = record(function_id)
    assert (row.state, row.attempts, row.due_time) == (State.PENDING, 0, later)


@pytest.mark.parametrize("state", [State.FAILED, State.PENDING])
@pytest.mark.parametrize("is_same_executor", [False, True])
def test_an_attempt_that_another_worker_has_recorded_meanwhile_is_no_warning(
    state, is_same_executor, transactional_db, execute_due, monkeypatch, caplog
):
    """Between the rollback and the record of an error, the row is locked by nobody."""
    function_id = ctx.scheduler.run_after(0, write_and_raise, label="a")
    row = ScheduledFunction.objects.filter(pk=function_id)
    record_it = MutationExecution.after_rollback

    def record_after_another(execution: MutationExecution, error: BaseException) -> None:
        due_time = row.get().due_time + timedelta(days=1)
        executor = execution.executor_name if is_same_executor else "another"
        changes = {"attempts": 1, "executor": executor, "state": state, "error": "theirs", "due_time": due_time}
        if state == State.FAILED:
            changes["started_time"] = execution.database.current_time()
        elsewhere(lambda: row.update(**changes))
        record_it(execution, error)

    monkeypatch.setattr(MutationExecution, "after_rollback", record_after_another)
    execute_due()

    assert row.get().error == "theirs"
    assert [each.levelname for each in caplog.records if "attempt 1 was executed by another" in each.message] == [
        "INFO"
    ]
    assert not [each.message for each in caplog.records if each.levelname in ("WARNING", "ERROR")]
