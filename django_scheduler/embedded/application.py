"""A site has its servers execute scheduled functions by one call in ``wsgi.py`` or ``asgi.py``.

These import it before Django is set up. So what needs Django is imported when it is called, because what makes the
application has set it up by then.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.db import connections

from django_scheduler.embedded.options import CONCURRENCY, GRACE, GRACE_OF_DEVELOPMENT, Options

Application = TypeVar("Application", bound=Callable[..., Any])

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def with_scheduler(
    application: Application,
    *,
    concurrency: int = CONCURRENCY,
    queues: Collection[str] = (),
    using: str | None = None,
    grace: float | None = None,
) -> Application:
    """Return the application, and execute scheduled functions in each process that serves it.

    It takes what ``get_wsgi_application`` or ``get_asgi_application`` returns, or any other application::

        application = with_scheduler(get_wsgi_application())

    Each process that serves is an executor. Importing ``wsgi.py`` in a shell or a test executes nothing.

    ``concurrency``: how many functions each process executes at a time. ``queues``: only those in these. ``using``:
    from which database. ``grace``: how many seconds running functions may take to end when the process ends, by
    default 20, with ``runserver`` 5.
    """
    from django_scheduler.embedded.serving import is_development_server, serving

    if using is not None:
        connections[using]  # raises if there is none of that name
    if isinstance(queues, str):
        raise TypeError(f"queues is a list of names, not the name {queues!r}: write queues=[{queues!r}].")
    if grace is None:
        grace = GRACE_OF_DEVELOPMENT if is_development_server() else GRACE
    serving.execute(Options(using=using, concurrency=concurrency, queues=tuple(queues), grace=grace))
    if iscoroutinefunction(application) or iscoroutinefunction(getattr(application, "__call__", None)):  # noqa: B004
        return cast(Application, _with_lifespan(application))
    return application


def execute_in_development_server() -> None:
    """Execute in this process if it is one in which ``runserver`` serves, and not the one that restarts it."""
    from django_scheduler.embedded.serving import serves_in_development, serving

    if serves_in_development():
        serving.execute(Options(grace=GRACE_OF_DEVELOPMENT))


def _with_lifespan(application: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Return an ASGI application that executes between start-up and shutdown of its server."""

    async def application_with_scheduler(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _run_lifespan(application, scope, receive, send)
        else:
            await application(scope, receive, send)

    return application_with_scheduler


async def _run_lifespan(
    application: Callable[..., Awaitable[None]], scope: Message, receive: Receive, send: Send
) -> None:
    """Start the executor once the application has started up, and end it before the application ends.

    So its functions may use what the application has opened at start-up, and ends at shutdown.

    Django's application refuses a lifespan before it receives anything, and then it is answered here.
    """
    from django_scheduler.embedded.serving import serving
    from django_scheduler.executor import start_in_background

    has_received = False

    async def receive_and_follow() -> Message:
        nonlocal has_received
        has_received = True
        message = await receive()
        if message["type"] == "lifespan.startup":
            serving.starts_up()
        elif message["type"] == "lifespan.shutdown":
            await asyncio.wrap_future(start_in_background(serving.end))
        return message

    async def send_and_follow(message: Message) -> None:
        await send(message)
        if message["type"] == "lifespan.startup.complete":
            serving.has_begun()

    try:
        await application(scope, receive_and_follow, send_and_follow)
    except Exception:
        if has_received:
            serving.has_begun()  # most servers then serve without lifespan
            raise
        for event in ("startup", "shutdown"):
            await receive_and_follow()
            await send_and_follow({"type": f"lifespan.{event}.complete"})
