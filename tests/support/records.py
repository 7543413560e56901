"""What is on record."""

from django_scheduler.models import ScheduledFunction


def record(function_id: int) -> ScheduledFunction:
    """Return the function's row, as it is now."""
    return ScheduledFunction.objects.get(pk=function_id)


def history(row: ScheduledFunction) -> list[dict[str, str]]:
    """Return the function's attempts that were repeated."""
    return row.history or []
