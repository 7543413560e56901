"""What is on record."""

from django_scheduler.models import ScheduledFunction


def record(function_id: int) -> ScheduledFunction:
    """The function's row, as it is now."""
    return ScheduledFunction.objects.get(pk=function_id)


def history(row: ScheduledFunction) -> list[dict[str, str]]:
    """Its attempts that were repeated."""
    return row.history or []
