"""This check says whether type checkers know the functions that there are now."""

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Warning, register

from django_scheduler.stubs import command_for, find_stubs, is_up_to_date


@register("django_scheduler")
def check_stub(**kwargs: Any) -> Iterator[CheckMessage]:
    """W019: the project has a stub of its functions, and they have changed since it was written."""
    for stub in find_stubs():
        if not is_up_to_date(stub):
            yield Warning(
                f"{stub} is out of date: type checkers are told of functions that are not there, or not of those that"
                " are.",
                hint=f"Run `{command_for(stub)}`.",
                id="django_scheduler.W019",
            )
