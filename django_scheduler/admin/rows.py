"""What is read of a function for a list: nothing that may be large."""

from datetime import timedelta

from django.db.models import Case, F, JSONField, QuerySet, TextField, Value, When
from django.db.models.functions import Cast, Left, Length

from django_scheduler.admin.readable import brief
from django_scheduler.masking import masked
from django_scheduler.models import ScheduledFunction
from django_scheduler.values import JSONValue

#: Arguments longer than this are not loaded for a list, and those longer than that are not searched.
LONGEST_ARGUMENTS, LONGEST_SEARCHED = 4_000, 100_000

LONGEST_ERROR = 300

LARGE = ("args", "result", "error", "traceback")


def for_list(rows: QuerySet[ScheduledFunction]) -> QuerySet[ScheduledFunction]:
    """With what a list shows."""
    length = Length(Cast("args", TextField()))
    short = Case(
        When(args_length__lte=LONGEST_ARGUMENTS, then=F("args")), default=Value(None), output_field=JSONField()
    )
    return rows.defer(*LARGE).annotate(args_length=length, short_args=short, error_start=Left("error", LONGEST_ERROR))


def for_comparison(rows: QuerySet[ScheduledFunction]) -> QuerySet[ScheduledFunction]:
    """With the arguments, to be compared with what is searched."""
    text = Cast("args", TextField())
    return (
        rows.defer(*(column for column in LARGE if column != "args"))
        .annotate(args_text=text, args_length=Length(text), error_start=Left("error", LONGEST_ERROR))
        .filter(args_length__lte=LONGEST_SEARCHED)
    )


class Row:
    """A function as a line of a list."""

    def __init__(self, function: ScheduledFunction) -> None:
        self.function = function

    @property
    def arguments(self) -> str | None:
        """In brief; ``None`` if they are too large for that."""
        args: JSONValue = getattr(self.function, "short_args", None)
        if args is None and "args" in self.function.__dict__:
            args = self.function.args
        return None if args is None else brief(masked(self.function.name, args))

    @property
    def took(self) -> timedelta | None:
        """From its start to its end."""
        started, completed = self.function.started_time, self.function.completed_time
        return completed - started if started and completed else None

    @property
    def arguments_length(self) -> int:
        return int(getattr(self.function, "args_length", 0) or 0)

    @property
    def first_line_of_error(self) -> str:
        return str(getattr(self.function, "error_start", "")).strip().partition("\n")[0]
