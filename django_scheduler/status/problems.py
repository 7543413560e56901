"""Problems say why functions are late, or are going to be, and what to do about it.

``find_problems`` is the only place that decides so. The overview, ``scheduler_status``, the health view and the metrics
show what it finds. A problem that is no warning needs somebody at once: then the system is not healthy. A warning
explains why something waits although that is intended, or may pass by itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.utils.translation import gettext, gettext_noop

from django_scheduler.conf import get_settings
from django_scheduler.models import Pause
from django_scheduler.status.snapshot import (
    ExecutorStatus,
    LimitStatus,
    PauseStatus,
    QueueStatus,
    RateLimitStatus,
    UnknownFunction,
)

#: From which lag on functions of a queue are late, whether or not they may be, in seconds.
LATE_AFTER = 20.0


class ProblemCode(StrEnum):
    """Names a kind of problem."""

    NO_EXECUTOR = "no_executor"
    QUEUE_NOT_SERVED = "queue_not_served"
    LATE = "late"
    NO_THREAD_LEFT = "no_thread_left"
    UNKNOWN_FUNCTION = "unknown_function"
    THREADS_HELD = "threads_held"
    THREADS_TAKEN = "threads_taken"
    PAUSED = "paused"
    LIMIT_CLOSED = "limit_closed"
    RATE_LIMIT_CLOSED = "rate_limit_closed"


#: What passes by itself, or is intended.
WARNINGS = frozenset(
    {
        ProblemCode.THREADS_HELD,
        ProblemCode.THREADS_TAKEN,
        ProblemCode.PAUSED,
        ProblemCode.LIMIT_CLOSED,
        ProblemCode.RATE_LIMIT_CLOSED,
    }
)

_MESSAGES = {
    ProblemCode.NO_EXECUTOR: gettext_noop(
        "No executor is alive, so nothing is executed. Start one: manage.py runscheduler"
    ),
    ProblemCode.QUEUE_NOT_SERVED: gettext_noop(
        "No executor serves the queue “%(queue)s”, in which functions are due (%(due)s). Start one that does:"
        " manage.py runscheduler, without --queue or with the name of this queue."
    ),
    ProblemCode.LATE: gettext_noop(
        "A due function of the queue “%(queue)s” has been waiting for %(lag)s s, and may wait for %(max_lag)s s."
    ),
    ProblemCode.NO_THREAD_LEFT: gettext_noop(
        "Executor %(executor)s has no thread left that works: bodies that do not end although their time is up hold"
        " them (%(functions)s). Restart it if that does not happen by itself, and mend these functions."
    ),
    ProblemCode.UNKNOWN_FUNCTION: gettext_noop(
        "Executors do not know the function %(name)s, or refuse its arguments: it is due in the queue “%(queue)s”"
        " (%(count)s pending, the first one is %(first_id)s, since %(since)s UTC). Their code is older than what has"
        " scheduled it, or the function was changed, removed, or renamed without aliases=. Start executors with code"
        " that can execute it; otherwise it fails."
    ),
    ProblemCode.THREADS_HELD: gettext_noop(
        "%(held)s of %(threads)s threads of the executor %(executor)s are held by bodies that do not end although their"
        " time is up (%(functions)s). Mend these functions."
    ),
    ProblemCode.THREADS_TAKEN: gettext_noop(
        "All threads that serve the queue “%(queue)s” are taken (%(threads)s), and a due function has been waiting for"
        " %(lag)s s. Start more (--processes, --concurrency), or look at what takes so long: %(functions)s"
    ),
    ProblemCode.PAUSED: gettext_noop(
        "The queue “%(queue)s” is paused%(why)s, so what is due there waits. Resume it in the overview of the admin."
    ),
    ProblemCode.LIMIT_CLOSED: gettext_noop(
        "The limit “%(limit)s” is set to 0%(why)s, so nothing of it begins. Change it on the page of limits of the"
        " admin."
    ),
    ProblemCode.RATE_LIMIT_CLOSED: gettext_noop(
        "The rate limit “%(limit)s” is set to 0%(why)s, so nothing of it begins. Change it on the page of limits of the"
        " admin."
    ),
}
_EVERYTHING_IS_PAUSED = gettext_noop(
    "Everything is paused%(why)s, so what is due waits. Resume it in the overview of the admin."
)

#: How many functions a message names.
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Problem:
    """Says why functions are late, or are going to be."""

    code: ProblemCode
    #: The queue that it concerns; ``None``: not one alone.
    queue: str | None
    #: What the message says of it.
    details: dict[str, str]

    @property
    def is_warning(self) -> bool:
        """Return whether it is intended, or may pass by itself, so that the system is healthy all the same."""
        return self.code in WARNINGS

    @property
    def message(self) -> str:
        """Return a sentence that says what is wrong, and one that says what to do."""
        return self._template % self.details

    @property
    def translated_message(self) -> str:
        """Return what is wrong, and what to do, in the language of who looks at it."""
        return gettext(self._template) % self.details

    @property
    def _template(self) -> str:
        is_for_all = self.code is ProblemCode.PAUSED and self.queue is None
        return _EVERYTHING_IS_PAUSED if is_for_all else _MESSAGES[self.code]


def find_problems(
    queues: Iterable[QueueStatus],
    executors: Sequence[ExecutorStatus],
    pauses: Iterable[PauseStatus],
    unknown_functions: Iterable[UnknownFunction],
    limits: Iterable[LimitStatus | RateLimitStatus] = (),
    *,
    max_lag: float | None = None,
) -> tuple[Problem, ...]:
    """Return why functions are late, or are going to be, in the order of ``ProblemCode``.

    ``max_lag``: which lag each queue may have, in seconds; ``None``: what the setting says.
    """
    found = [
        *_of_executors(executors),
        *(problem for queue in queues if not queue.is_paused for problem in _of_queue(queue, executors, max_lag)),
        *map(_unknown, unknown_functions),
        *map(_paused, pauses),
        *(problem for limit in limits for problem in _of_limit(limit)),
    ]
    order = list(ProblemCode)
    return tuple(sorted(found, key=lambda problem: order.index(problem.code)))


def max_lag_of(queue: str) -> float | None:
    """Return which lag a queue may have by the setting ``MAX_LAG``, in seconds; ``None``: any."""
    setting = get_settings().MAX_LAG
    longest = setting.get(queue, setting.get(Pause.EVERYTHING)) if isinstance(setting, dict) else setting
    return None if longest is None else longest.total_seconds()


def _of_executors(executors: Iterable[ExecutorStatus]) -> Iterator[Problem]:
    working = [executor for executor in executors if executor.looks_for_work]
    if not working:
        yield Problem(ProblemCode.NO_EXECUTOR, None, {})
    for executor in working:
        if executor.held_threads:
            code = ProblemCode.THREADS_HELD
            if executor.held_threads >= executor.concurrency:
                code = ProblemCode.NO_THREAD_LEFT
            details = {
                "executor": executor.name,
                "held": str(executor.held_threads),
                "threads": str(executor.concurrency),
                "functions": _names(f"{each.name} {each.id}" for each in executor.running if each.is_given_up),
            }
            yield Problem(code, None, details)


def _of_queue(queue: QueueStatus, executors: Iterable[ExecutorStatus], max_lag: float | None) -> Iterator[Problem]:
    limit = max_lag_of(queue.queue) if max_lag is None else max_lag
    details = {"queue": queue.queue, "due": str(queue.due), "lag": f"{queue.lag:.1f}"}
    if limit is not None and queue.lag > limit:
        yield Problem(ProblemCode.LATE, queue.queue, {**details, "max_lag": f"{limit:g}"})
    serving = [executor for executor in executors if executor.serves(queue.queue)]
    if not serving:
        if queue.due and any(executor.looks_for_work for executor in executors):
            yield Problem(ProblemCode.QUEUE_NOT_SERVED, queue.queue, details)
    elif queue.lag > LATE_AFTER and all(executor.is_full for executor in serving):
        details["threads"] = str(sum(executor.concurrency for executor in serving))
        details["functions"] = _names(f"{each.name} {each.id}" for executor in serving for each in executor.running)
        yield Problem(ProblemCode.THREADS_TAKEN, queue.queue, details)


def _unknown(function: UnknownFunction) -> Problem:
    details = {
        "name": function.name,
        "queue": function.queue,
        "count": str(function.count),
        "since": f"{function.since:%Y-%m-%d %H:%M:%S}",
        "first_id": str(function.first_id),
    }
    return Problem(ProblemCode.UNKNOWN_FUNCTION, function.queue, details)


def _paused(pause: PauseStatus) -> Problem:
    details = {"queue": pause.queue, "why": _why(pause.paused_by, pause.reason)}
    return Problem(ProblemCode.PAUSED, None if pause.queue == Pause.EVERYTHING else pause.queue, details)


def _of_limit(limit: LimitStatus | RateLimitStatus) -> Iterator[Problem]:
    if isinstance(limit, RateLimitStatus):
        number, code = limit.rate, ProblemCode.RATE_LIMIT_CLOSED
    else:
        number, code = limit.concurrency, ProblemCode.LIMIT_CLOSED
    if number == 0:
        yield Problem(code, None, {"limit": limit.name, "why": _why(limit.changed_by, limit.reason)})


def _why(who: str, reason: str) -> str:
    said = ": ".join(filter(None, (who, reason)))
    return f" ({said})" if said else ""


def _names(functions: Iterable[str]) -> str:
    names = list(functions)
    return ", ".join([*names[:MOST_NAMED], *(["…"] if len(names) > MOST_NAMED else [])])
