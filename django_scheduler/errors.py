"""These errors are raised by this app, and by functions.

A message says what was attempted and what to do. A call that this app refuses with one of them has changed nothing; a
function that raises one itself may have.
"""

import json
from datetime import timedelta

from django_scheduler.durations import parse_seconds


class SchedulerError(Exception):
    """Is the base of all errors here but ``TimedOut``."""


class InvalidSchedule(SchedulerError, ValueError):
    """A delay, a time or a schedule is invalid.

    It is negative, not finite, naive, over five years away, or no valid cron or interval.
    """


class InvalidArguments(SchedulerError, TypeError):
    """Arguments do not fit the function's signature, or cannot be stored or restored."""


class FunctionNotFound(SchedulerError, LookupError):
    """No function of that name, visibility and kind is registered."""


class TooManyScheduled(SchedulerError):
    """One transaction scheduled more functions than the settings allow."""


class ArgumentsTooLarge(SchedulerError):
    """The arguments scheduled by one transaction are larger than the settings allow."""


class InvalidContext(SchedulerError, ValueError):
    """What middleware has added to the context of what is scheduled is no JSON, or too large."""


class UnknownScheduledFunction(SchedulerError, LookupError):
    """No scheduled function has that id: it was never committed, or its retention has passed."""


class AlreadyFinished(SchedulerError):
    """The scheduled function has ended: there is nothing left to cancel, or to run at another time."""


class AlreadyStarted(SchedulerError):
    """The scheduled function is executing, or another transaction is changing it, so it is not run at another time."""


class NotFinished(SchedulerError):
    """The scheduled function has not ended yet, so it cannot be run again."""


class CannotRunAgain(SchedulerError):
    """The function is declared with ``rerun=False``: what has ended is not run again."""


class CannotCancelSelf(SchedulerError):
    """A function asked to cancel itself. To end early, it returns or raises."""


class Canceled(SchedulerError):
    """A function was canceled. It is named where a result must name an error, and never raised."""


class Lost(SchedulerError):
    """The executor of an action is gone. It is on record, and never raised."""


class CronExists(SchedulerError):
    """A cron of that name exists already, in code or registered at run time."""


class UnknownCron(SchedulerError, LookupError):
    """No cron has that name, or it is no longer in the code."""


class CronDefinedInCode(SchedulerError):
    """The cron is defined in code: at run time it can be paused, but neither changed nor deleted."""


class CronUnfinished(SchedulerError):
    """The previous run of the cron is unfinished, and a cron never has two runs at a time."""


class BrokenTransaction(SchedulerError):
    """The body of a mutation returned, but the database would not commit everything that it has done."""


class ApplicationError(SchedulerError):
    """A function raises it to tell the client that called it over HTTP what is wrong.

    ``data``: any JSON. A mutation is rolled back by it as by any error. The client is told nothing about other errors.

    Example::

        @mutation
        def reserve(ctx, *, seat: str) -> None:
            if is_taken(seat):
                raise ApplicationError({"code": "taken", "seat": seat})
    """

    def __init__(self, data: object) -> None:
        super().__init__(data)
        self.data = data

    def __str__(self) -> str:
        return self.data if isinstance(self.data, str) else json.dumps(self.data, default=str)


class TimedOut(BaseException):
    """Is raised inside the body of a scheduled mutation, wherever it is, when its timeout has passed.

    It is not an ``Exception``, so ``except Exception`` does not catch it. The mutation is rolled back, and ``failed``
    with the failure ``timeout``, even if its body catches it all the same.
    """


class TransientError(SchedulerError):
    """The body of a mutation or of an action raises it to be tried again later.

    A mutation is rolled back. An action is started again, also one that declares nothing: by raising this its author
    says that it may be. ``after``: how much later, as a ``timedelta`` or a number of seconds; as often as the body asks
    for it. ``None``: with backoff, until it has raised the same one ``MAX_SAME_ERRORS`` times in a row. Neither counts
    as a failure (``Retry.max_attempts``).

    Example::

        @action
        def fetch_report(ctx, *, report_id: int) -> None:
            if not provider.is_ready(report_id):
                raise TransientError("the report is not ready", after=60)
    """

    #: When to try again, for a class of the project's that does not say.
    after: timedelta | None = None

    #: Whether a mutation has raised it that somebody has called: then it is not the word of that caller.
    is_of_called_mutation = False

    def __init__(self, *args: object, after: timedelta | float | None = None) -> None:
        if len(args) > 1:
            raise TypeError(f"TransientError takes one message; to say when to try again, write after={args[1]!r}.")
        super().__init__(*args)
        if after is not None:
            self.after = parse_seconds(after, "after=")
