"""Every error that this app raises, and the one that a function raises to be retried.

Each says what was attempted, on which function or id, and what to do. None is raised after something
has been written: a call that raises has changed nothing.
"""

import json


class SchedulerError(Exception):
    """Base of every error of this app."""


class InvalidSchedule(SchedulerError, ValueError):
    """A delay, a time or a cron that cannot be: negative, not finite, naive, or over five years away."""


class InvalidArguments(SchedulerError, TypeError):
    """Arguments that do not fit the function's signature, or that cannot be stored or restored."""


class FunctionNotFound(SchedulerError, LookupError):
    """No function of that name is registered (or none of that visibility or kind)."""


class TooManyScheduled(SchedulerError):
    """One transaction scheduled more functions than the settings allow."""


class ArgumentsTooLarge(SchedulerError):
    """The arguments scheduled by one transaction are larger than the settings allow."""


class UnknownScheduledFunction(SchedulerError, LookupError):
    """No scheduled function has that id: it never had, was rolled back, or its retention has passed."""


class AlreadyFinished(SchedulerError):
    """The scheduled function has succeeded or failed: there is nothing left to cancel."""


class CannotCancelSelf(SchedulerError):
    """A function asked to cancel itself. To end early, return or raise."""


class Canceled(SchedulerError):
    """What a canceled function has ended with, where a result must name an error. It is never raised."""


class Lost(SchedulerError):
    """What an action has ended with whose executor is gone. It is on record, and never raised."""


class CronExists(SchedulerError):
    """There is a cron of that name already, in code or at run time."""


class UnknownCron(SchedulerError, LookupError):
    """No cron has that name, or it is no longer in the code."""


class CronDefinedInCode(SchedulerError):
    """The cron is defined in code, so it can be paused at run time, but neither changed nor deleted."""


class CronUnfinished(SchedulerError):
    """The previous run of the cron is unfinished, and two never run at a time."""


class BrokenTransaction(SchedulerError):
    """The body of a mutation returned, but the database would not keep all that it has done."""


class ApplicationError(SchedulerError):
    """Raised by a function to tell the client that called it over HTTP what is wrong, in its own words.

    ``data``: any JSON. A mutation is rolled back by it as by any error. A client sees nothing of other errors.

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
    """Raised inside the body of a scheduled mutation, wherever it is, when its time is up.

    It is no ``Exception``, so that ``except Exception`` lets it pass. Whoever catches it cannot keep it from taking
    effect: the mutation is rolled back, and is ``failed`` with the failure ``timeout``.
    """


class TransientError(SchedulerError):
    """Raised by the body of a mutation to be rolled back and retried later, with backoff.

    Example::

        @mutation
        def ship(ctx, *, order_id: int) -> None:
            if not stock.is_synchronised():
                raise TransientError("the stock is being synchronised")
    """
