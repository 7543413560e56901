"""Names of crons: printable ASCII, so that they look the same in every log and terminal."""

from django_scheduler.crons.models import LONGEST_NAME
from django_scheduler.errors import InvalidSchedule
from django_scheduler.values.short_repr import short_repr


def problem_with_name(name: object) -> InvalidSchedule | None:
    """What is wrong with a cron's name, or ``None``."""
    if not isinstance(name, str):
        return InvalidSchedule(f"The name of a cron is a str, not {type(name).__name__}.")
    if not (name.isascii() and name.isprintable() and name and name == name.strip()):
        return InvalidSchedule(
            f"The name of a cron is made of printable ASCII and neither begins nor ends with a space:"
            f" {short_repr(name)}."
        )
    if len(name) > LONGEST_NAME:
        return InvalidSchedule(f"The name of a cron has at most {LONGEST_NAME} characters, not {len(name)}.")
    return None
