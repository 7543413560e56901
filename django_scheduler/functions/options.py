"""Options of the decorators: each stands here once, with its type, its default and what is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Final

from django_scheduler.durations import FURTHEST, is_positive
from django_scheduler.functions.limits import LIMIT_OPTIONS, Concurrency, RateLimit, problem_of_limit
from django_scheduler.functions.retry import Retry
from django_scheduler.models import LONGEST_QUEUE_NAME
from django_scheduler.values import is_plain_text

#: Each database knows what time it was so long ago.
LONGEST_RETENTION = timedelta(days=36_500)


class NotGiven(Enum):
    """Stands for an option that a function or a call does not name, where ``None`` means something else."""

    NOT_GIVEN = "not given"


NOT_GIVEN: Final = NotGiven.NOT_GIVEN


@dataclass(frozen=True, kw_only=True)
class Options:
    """Say what a function is called, how it runs, and who may have it run.

    ``name``: the last part of its name; default: the function's own. ``queue``: the executors that run it are
    those that serve this queue. ``priority``: among the due functions, the highest starts first. ``timeout``: how long
    it may run when it was scheduled, as a ``timedelta`` or a number of seconds, and ``None`` for ever (default: the
    setting ``MUTATION_TIMEOUT`` for a mutation, for ever for an action); then it is ``failed``, ``timeout``.
    ``alone`` (mutations only): it never shares its transaction with others that are due, whatever the backlog.
    ``aliases``: the names that it had before it was renamed, by which what is on record still finds it; those that it
    had in another app with that one's label, ``"orders:archive"``.
    ``admin``: whether people may choose it for a cron in the admin, run such a cron now, and run it again there;
    ``False``: only code schedules it.
    ``rerun``: whether it may run again once it has ended; ``False`` refuses that.
    ``retention``: how long it stays on record once it has ended, as a ``timedelta``, and ``None`` for ever (default:
    the setting ``RETENTION``).
    ``expires``: for how long it may begin, as a ``timedelta`` from the time that it was requested for; after that it is
    ``canceled``, ``expired``.
    ``retry``: how often it is tried again after its body has raised, and when: ``Retry(max_attempts=3)`` (default:
    never). ``idempotent`` (actions only, with ``retry``): its body may be executed several times without harm, so it is
    tried again too after its executor is gone, or after its timeout; its body may then start more than once.
    ``fair_key``: the parameter that names a tenant: those who have something due take turns within a queue and a
    priority (default: what the setting ``FAIR_KEYS`` says of the queue).
    ``concurrency``: how many of its bodies run at once: ``Concurrency(2, key="account_id")`` (default: any number).
    ``rate_limit``: how many of its bodies begin within a period: ``RateLimit(10, per=timedelta(seconds=1))`` (default:
    any number).
    """

    name: str | None = None
    queue: str = "default"
    priority: int = 0
    timeout: timedelta | float | NotGiven | None = NOT_GIVEN
    alone: bool = False
    aliases: Sequence[str] = ()
    admin: bool = True
    rerun: bool = True
    expires: timedelta | None = None
    retention: timedelta | NotGiven | None = NOT_GIVEN
    retry: Retry | None = None
    idempotent: bool = False
    fair_key: str | None = None
    concurrency: Concurrency | None = None
    rate_limit: RateLimit | None = None

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with each value that cannot be, and what it has to be."""
        yield from problems_of_lane(self.queue, self.priority)
        if not _is_timeout(self.timeout):
            yield (
                "timeout= must be a positive timedelta or number of seconds, of at most five years, or None, not"
                f" {self.timeout!r}."
            )
        if (
            isinstance(self.aliases, str)
            or not isinstance(self.aliases, Iterable)
            or not all(map(_is_alias, self.aliases))
        ):
            yield (
                "aliases= must be a tuple of the names that it had, as identifiers or, for those in another app, as"
                f' "<app_label>:<name>", not {self.aliases!r}.'
            )
        for name in ("admin", "rerun", "idempotent"):
            if type(value := getattr(self, name)) is not bool:
                yield f"{name}= must be True or False, not {value!r}."
        if self.expires is not None and not is_positive(self.expires):
            yield f"expires= must be a positive timedelta of at most five years, or None, not {self.expires!r}."
        if not _is_retention(self.retention):
            yield (
                f"retention= must be a positive timedelta, of at most {LONGEST_RETENTION.days:,} days, or None, not"
                f" {self.retention!r}."
            )
        if not isinstance(self.retry, Retry | None):
            yield f"retry= must be a Retry, as in retry=Retry(max_attempts=3), or None, not {self.retry!r}."
        for option in LIMIT_OPTIONS:
            if problem := problem_of_limit(option, getattr(self, option)):
                yield problem
        if self.idempotent and self.retry is None:
            yield "idempotent= says that it may be tried again, and needs retry= to say how often: retry=Retry()."


DEFAULTS = Options()


def problems_of_lane(queue: object, priority: object) -> Iterator[str]:
    """Yield what is wrong with a queue and a priority that a function or a call names, and what each has to be."""
    if not isinstance(queue, str) or not 0 < len(queue) <= LONGEST_QUEUE_NAME or not is_plain_text(queue):
        yield f"queue= must be a name of 1 to {LONGEST_QUEUE_NAME} characters, without NUL, not {queue!a}."
    if type(priority) is not int or not -32_768 <= priority <= 32_767:
        yield f"priority= must be a whole number from -32768 to 32767, not {priority!r}."


def _is_alias(alias: object) -> bool:
    return isinstance(alias, str) and alias.count(":") <= 1 and all(map(str.isidentifier, alias.split(":")))


def _is_timeout(timeout: object) -> bool:
    if timeout is None or timeout is NOT_GIVEN or is_positive(timeout):
        return True
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        return False
    return timedelta.resolution.total_seconds() <= timeout <= FURTHEST.total_seconds()


def _is_retention(retention: object) -> bool:
    return retention is None or retention is NOT_GIVEN or is_positive(retention, LONGEST_RETENTION)
