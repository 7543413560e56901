"""A ``repr`` of bounded length that never raises and never touches the database.

The ``repr`` of a QuerySet is a query, and that of a model instance may need one. Should it fail, it would
take the function's transaction with it, and everything the function did.
"""

import reprlib
from typing import Any

from django.db.models import Model, QuerySet

LONGEST = 1000


class ShortRepr(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxlong = self.maxother = LONGEST
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = 50

    def repr_instance(self, x: Any, level: int) -> str:
        if isinstance(x, Model):
            return f"<{x._meta.label} {x.pk}>"
        if issubclass(type(x), QuerySet):
            return f"<QuerySet of {x.model._meta.label}>"
        return super().repr_instance(x, level)


def short_repr(value: object) -> str:
    try:
        text = ShortRepr().repr(value)
    except Exception:
        text = f"<{type(value).__name__} whose repr raises>"
    # Neither half of a surrogate pair nor NUL: no database would take them.
    text = text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    return text[:LONGEST]
