"""Options of the decorators: each stands here once, with its type, its default and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from django_scheduler.models import LONGEST_QUEUE_NAME
from django_scheduler.times import FURTHEST
from django_scheduler.values import is_plain_text


class Timeout(Enum):
    """Stands for the timeout of a function that names none."""

    DEFAULT = "the setting MUTATION_TIMEOUT for a mutation, for ever for an action"


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
    ``rerun``: whether people may run it again once it has ended; ``False`` refuses that.
    """

    name: str | None = None
    queue: str = "default"
    priority: int = 0
    timeout: timedelta | float | Timeout | None = Timeout.DEFAULT
    alone: bool = False
    aliases: Sequence[str] = ()
    admin: bool = True
    rerun: bool = True

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with each value that cannot be, and what it has to be."""
        if (
            not isinstance(self.queue, str)
            or not 0 < len(self.queue) <= LONGEST_QUEUE_NAME
            or not is_plain_text(self.queue)
        ):
            yield f"queue= must be a name of 1 to {LONGEST_QUEUE_NAME} characters, without NUL, not {self.queue!a}."
        if type(self.priority) is not int or not -32_768 <= self.priority <= 32_767:
            yield f"priority= must be a whole number from -32768 to 32767, not {self.priority!r}."
        if not _is_timeout(self.timeout):
            yield (
                "timeout= must be a positive timedelta or number of seconds, of at most five years, or None, not"
                f" {self.timeout!r}."
            )
        if isinstance(self.aliases, str) or not all(map(_is_alias, self.aliases)):
            yield (
                "aliases= must be a tuple of the names that it had, as identifiers or, for those in another app, as"
                f' "<app_label>:<name>", not {self.aliases!r}.'
            )
        for name in ("admin", "rerun"):
            if type(value := getattr(self, name)) is not bool:
                yield f"{name}= must be True or False, not {value!r}."


DEFAULTS = Options()


def _is_alias(alias: object) -> bool:
    return isinstance(alias, str) and alias.count(":") <= 1 and all(map(str.isidentifier, alias.split(":")))


def _is_timeout(timeout: object) -> bool:
    if timeout is None or isinstance(timeout, Timeout):
        return True
    if isinstance(timeout, timedelta):
        return timedelta(0) < timeout <= FURTHEST
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        return False
    return timedelta.resolution.total_seconds() <= timeout <= FURTHEST.total_seconds()
