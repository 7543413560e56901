"""These checks look at crons that are defined in code: at their names, functions and arguments."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, register

from django_scheduler.crons import definitions
from django_scheduler.errors import FunctionNotFound, InvalidArguments, SchedulerError


@register("django_scheduler")
def check_crons(**kwargs: Any) -> Iterator[CheckMessage]:
    """E101: the name or schedule is invalid. E102: there is no such function. E103: the arguments do not fit it."""
    for definition in definitions.defined_crons:
        for problem in definition.problems():
            check_id, hint = _of(problem)
            yield Error(f"The cron {definition.name!r} ({definition.source}): {problem}", hint=hint, id=check_id)


@register("django_scheduler")
def check_names(**kwargs: Any) -> Iterator[CheckMessage]:
    """E104: several crons have the same name, regardless of case, which not every database tells apart."""
    by_name: dict[str, list[definitions.Definition]] = defaultdict(list)
    for definition in definitions.defined_crons:
        by_name[str(definition.name).casefold()].append(definition)
    for same in by_name.values():
        if len(same) > 1:
            yield Error(
                f"Several crons are named {same[0].name!r}: {', '.join(each.source for each in same)}.",
                hint="Rename all but one of them. Names that differ only in upper and lower case are the same.",
                id="django_scheduler.E104",
            )


def _of(problem: SchedulerError) -> tuple[str, str]:
    match problem:
        case FunctionNotFound():
            return "django_scheduler.E102", "Pass the decorated function itself, or correct its name."
        case InvalidArguments():
            hint = (
                "Each argument is passed after the function by the name of its parameter, and is one that can be"
                " stored. Leave out ctx."
            )
            return "django_scheduler.E103", hint
        case _:
            hint = "Correct the name, or pass a schedule: crons.Interval, CronLine, Hourly, Daily, Weekly or Monthly."
            return "django_scheduler.E101", hint
