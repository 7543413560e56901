"""A line of the log is one that this app has written: neither an error nor a name can make one up."""

import io
import logging
from contextlib import contextmanager

import pytest

from django_scheduler import Context, action, ctx
from django_scheduler.models import ScheduledFunction
from django_scheduler.telemetry import log_each_of_executors, log_of_executors, one_line, report

pytestmark = pytest.mark.once

FORGED = "2026-01-02 03:04:05 INFO tests:write 7: success"

#: What ends a line, moves the cursor, or turns the direction of reading, somewhere.
CONTROL = [
    "\n",
    "\r",
    "\r\n",
    "\v",
    "\f",
    "\x1c",
    "\x85",
    "\u2028",
    "\u2029",
    "\x1b[2K\x1b[1A",
    "\b" * 40,
    "\u202e",
    "\0",
    "\ud800",
]


@contextmanager
def log_file():
    """Collect what a handler writes that formats as most projects have it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(function)s %(message)s"))
    logger = logging.getLogger("django_scheduler.executor")
    logger.addHandler(handler)
    try:
        yield stream
    finally:
        logger.removeHandler(handler)


class WickedError(Exception):
    def __repr__(self) -> str:
        return f"WickedError{FORGED.join(CONTROL)}"


def chain(text: str) -> BaseException:
    """An error with causes, notes and members, all of which say this."""
    try:
        try:
            try:
                raise WickedError(text)
            except WickedError as error:
                raise ExceptionGroup(text, [ValueError(text), error]) from error
        except ExceptionGroup:
            raise KeyError(text)  # noqa: B904  (it has a context)
    except KeyError as error:
        error.add_note(text)
        return error


@pytest.mark.parametrize("control", CONTROL, ids=ascii)
def test_nothing_begins_a_line_but_what_is_logged(control):
    text = f"no such order{control}{FORGED}"
    with log_file() as stream:
        log_of_executors(
            logging.ERROR, "%s %s: failed: %s, %r", text, 7, chain(text), chain(text), error=chain(text), function=text
        )
        log_of_executors(logging.WARNING, f"{text}: nothing, %r", [text], function="tests:write")
    written = stream.getvalue()
    lines = written.split("\n")
    assert sum(not line.startswith("  ") for line in lines) == 3  # two, and the end
    assert not {c for c in written if not c.isprintable() and c != "\n"}
    assert "no such order" in lines[0]
    assert lines[1] == "  Traceback (most recent call last):" or "Traceback" in lines[1]


def test_what_is_written_out_can_be_read():
    assert one_line("a\nb\tc\x1b[0m ü 🐍\u2028") == r"a\nb\tc\x1b[0m ü 🐍\u2028"


def test_numbers_stay_numbers(caplog):
    log_of_executors(logging.WARNING, "%s %d %.1f %s", "name", 7, 1.25, None, function_id=7, lag=0.5, failure=None)
    (record,) = caplog.records
    assert record.getMessage() == "name 7 1.2 None"
    assert (record.function_id, record.lag, record.failure) == (7, 0.5, None)


def test_secrets_in_an_error_are_masked_in_the_message_and_in_the_traceback(caplog):
    text = "could not connect: postgres://ann:hunter2@db/shop password=hunter2"
    error = chain(text)
    report("%s has failed: %s, %r, %s", "tests:write", error, error, text, error=error)
    assert "could not connect" in caplog.text
    assert "hunter2" not in caplog.text


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_error_that_cannot_be_shown_is_logged_all_the_same(caplog):
    report("%s has failed", "tests:write", error=SilentError())
    assert "tests:write has failed" in caplog.text
    assert "SilentError" in caplog.text


def test_an_endless_error_is_logged_in_part(caplog):
    error = ValueError("x" * 5_000_000)
    report("%s has failed: %s", "tests:write", error, error=error)
    assert len(caplog.text) < 200_000


@action
def raise_a_line(ctx: Context) -> None:
    raise ValueError(f"no such order\n{FORGED}")


@pytest.mark.django_db(transaction=True)
def test_a_function_that_fails_makes_up_no_line(execute_due, caplog):
    ctx.scheduler.run_after(0, raise_a_line)
    with log_file() as stream:
        execute_due()
    assert f"no such order\n  {FORGED}" in stream.getvalue()


@pytest.mark.usefixtures("no_grace")
@pytest.mark.django_db(transaction=True)
def test_a_name_on_record_makes_up_no_line(execute_due):
    function_id = ctx.scheduler.run_after(0, raise_a_line)
    ScheduledFunction.objects.filter(pk=function_id).update(name=f"tests:gone\n{FORGED}")
    with log_file() as stream:
        execute_due()
    assert f"tests:gone\\n{FORGED} {function_id}: failed (missing)" in stream.getvalue()
    assert f"\n{FORGED}" not in stream.getvalue()


@action
def refuse_to_log_in(ctx: Context, *, user: str, password: str) -> None:
    raise ValueError(f"{user} cannot log in with {password}")


@pytest.mark.django_db(transaction=True)
def test_a_secret_among_the_arguments_is_masked_in_the_error_of_the_function(execute_due, caplog):
    ctx.scheduler.run_after(0, refuse_to_log_in, user="ann", password="hunter2")
    execute_due()
    assert "ValueError: ann cannot log in with " in caplog.text
    assert "hunter2" not in caplog.text


def test_a_filter_may_rewrite_each_line_of_several(caplog):
    """As one does that hides secrets: it puts the whole line in the place of the message."""
    logger = logging.getLogger("django_scheduler.executor")

    def rewrite(record: logging.LogRecord) -> bool:
        record.msg, record.args = record.getMessage(), ()
        return True

    logger.addFilter(rewrite)
    try:
        with caplog.at_level(logging.INFO, logger.name):
            log_each_of_executors(logging.INFO, "%s ends", [(("a",), {}), (("b",), {}), (("c",), {})])
    finally:
        logger.removeFilter(rewrite)

    assert [record.getMessage() for record in caplog.records] == ["a ends", "b ends", "c ends"]
