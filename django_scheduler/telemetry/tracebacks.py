"""A traceback begins at the function: how we came to call it tells nobody why it has failed."""

from collections.abc import Callable
from types import TracebackType

from django_scheduler.errors import SchedulerError

#: The modules through which every body is called.
CALLING_MODULES = ("django_scheduler.", "django.tasks.", "asgiref.", "asyncio.", "concurrent.futures.")

#: The function through which a call comes from the site's middleware to the body: its module, and its name.
INNERMOST = ("django_scheduler.scheduling.middleware_chain", "call_body")

# An exception may be of a class that answers in its own way to all that is asked of it; this asks nothing of it.
traceback_of: Callable[[BaseException], TracebackType | None] = vars(BaseException)["__traceback__"].__get__


def from_the_body_on(error: BaseException) -> TracebackType | None:
    """Return the frames from the body on, in which the error was raised.

    Where there is no body among them, they begin at the site's middleware, or are all of them; but none for an error of
    ours, which says what it means.
    """
    frames = rest = traceback_of(error)
    within = frames
    while within:
        frame = within.tb_frame
        if (frame.f_globals.get("__name__"), frame.f_code.co_name) == INNERMOST:
            rest = within
            break
        within = within.tb_next
    while rest and str(rest.tb_frame.f_globals.get("__name__")).startswith(CALLING_MODULES):
        rest = rest.tb_next
    if rest is None and issubclass(type(error), SchedulerError):
        return None
    return rest or frames
