"""``Retry`` declares how often a function is tried again after its body has raised, and when."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field

from django_scheduler.transactions import Backoff

#: The column that counts failures has room for no more.
MOST_ATTEMPTS = 2**31 - 1


@dataclass(frozen=True)
class Retry:
    """Say how often a function is tried again after its body has raised, and when.

    ``max_attempts``: how many attempts may fail; the last one of them is final. ``on``: after which errors, as a tuple
    of classes; ``None``: any ``Exception``. ``backoff``: how long to wait in between.

    An exception that is not among them is final, and so is what is no ``Exception``.

    Example::

        @internal_action(retry=Retry(5, on=(requests.ConnectionError,), backoff=Backoff(initial=2, maximum=600)))
        def tell_the_warehouse(ctx, *, order_id: int) -> None: ...

    Raises ``TypeError`` and ``ValueError`` for what can be no policy.
    """

    max_attempts: int = 5
    _: KW_ONLY
    on: tuple[type[Exception], ...] | None = None
    backoff: Backoff = field(default_factory=Backoff)

    def __post_init__(self) -> None:
        if type(self.max_attempts) is not int:
            raise TypeError(f"max_attempts= must be a whole number, not {self.max_attempts!r}.")
        if not 1 <= self.max_attempts <= MOST_ATTEMPTS:
            raise ValueError(
                f"max_attempts= counts the first attempt too, so it is at least 1, not {self.max_attempts}."
            )
        if self.on is not None and not (isinstance(self.on, tuple) and all(map(_is_exception, self.on))):
            raise TypeError(
                f"on= must be None or a tuple of classes of exceptions, as in on=(ConnectionError,), not {self.on!r}."
                " What is no Exception, such as SystemExit, is always final."
            )
        if not isinstance(self.backoff, Backoff):
            raise TypeError(f"backoff= must be a Backoff, as in backoff=Backoff(initial=1), not {self.backoff!r}.")

    def covers(self, error: BaseException) -> bool:
        """Return whether another attempt may follow this error."""
        # Its type is asked: what an exception says of its class may be anything.
        return issubclass(type(error), Exception if self.on is None else self.on)


def _is_exception(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)
