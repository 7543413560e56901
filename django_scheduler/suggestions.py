"""Find the name that somebody has probably meant, for errors and warnings about a name that is not there."""

from __future__ import annotations

import difflib
import inspect
import os.path
from collections.abc import Callable, Collection, Iterable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def nearest(name: object, known: Iterable[str]) -> str | None:
    """Return the one of the known names that is most like the one that was given; ``None`` if none is like it.

    That both are of the same app or module makes them no more alike.
    """
    given = str(name)
    for near in difflib.get_close_matches(given, list(known)):
        beginning = os.path.commonprefix([given, near])  # noqa: RUF071 (names, not paths)
        own = max(beginning.rfind(":"), beginning.rfind(".")) + 1
        if difflib.get_close_matches(given[own:], [near[own:]]):
            return near
    return None


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return a question that names the nearest of the known names, as the end of a message, or nothing.

    It begins with a blank: ``" Did you mean 'email'?"``.
    """
    near = nearest(name, known)
    return f" Did you mean {near!r}?" if near else ""


def which_there_are(name: object, known: Collection[str], there_are: str = "There are") -> str:
    """Return a sentence that names the nearest of the known names or, if none is like the one given, all of them."""
    return did_you_mean(name, known).lstrip() or f"{there_are}: {', '.join(known) or 'none'}."


def refuse_unknown_options(
    what: str, given: Iterable[str], known: Collection[str], elsewhere: Callable[[str], str | None] = lambda name: None
) -> None:
    """Raise ``TypeError`` if ``what``, such as ``"@mutation"``, is given an option that it does not have."""
    for name in given:
        if name not in known:
            raise TypeError(f"{what} has no option {name!r}. {elsewhere(name) or which_there_are(name, known)}")


def naming_unknown_options(
    owner: str, elsewhere: Callable[[str], str | None] = lambda name: None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a method of ``owner``, such as ``"ctx.scheduler"``, all of whose parameters are options.

    Raises ``TypeError``, as Python does, that names the nearest option. ``elsewhere`` says of a name where that belongs
    to, if it does.
    """

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        known = [
            name
            for name, parameter in inspect.signature(method).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        ]

        @wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            refuse_unknown_options(f"{owner}.{method.__name__}()", kwargs, known, elsewhere)
            return method(*args, **kwargs)

        return call

    return decorate
