"""What happens to scheduled functions, for whoever wants to know: sent once it is on record, and robustly."""

from typing import Any

from django.dispatch import Signal

from django_scheduler.log import warn
from django_scheduler.models import ScheduledFunction

#: A function has ended, and its row says how. Arguments: ``function_id``, ``name``, ``state``, ``failure``, ``using``.
function_finished = Signal()


def send(signal: Signal, **arguments: Any) -> None:
    """Tell every receiver. What one raises is logged, and changes nothing."""
    try:
        signal.send_robust(ScheduledFunction, **arguments)
    except BaseException as error:
        warn(
            "%s %s: a receiver of a signal failed: %r", arguments["name"], arguments["function_id"], error, error=error
        )
