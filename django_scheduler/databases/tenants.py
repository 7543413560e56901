"""The tenant of a scheduled function is the text of one of its arguments, the one that is its fair key.

Functions of different tenants take turns (``executor/turns.py``), so what has the same text is one tenant: ``7`` and
``"7"`` are. It is read from the stored arguments, so it is the same whoever writes the row, and people are shown it.
"""

import json
from hashlib import sha256

from django_scheduler.models import LONGEST_TENANT
from django_scheduler.values import to_json


def tenant_of(arguments: str, fair_key: str) -> str:
    """Return the tenant that arguments name, which are stored as JSON; an empty text if they name none.

    A text that is too long for the column is hashed. Example::

        >>> tenant_of('{"tenant_id":7}', "tenant_id")
        '7'
    """
    value = json.loads(arguments).get(fair_key)
    if isinstance(value, dict) and len(value) == 1:  # a UUID, say: its text without the tag
        (tagged,) = value.values()
        value = tagged if isinstance(tagged, str) else value
    if value is None:
        return ""
    text = value if isinstance(value, str) else to_json(value)
    return text if len(text) <= LONGEST_TENANT else sha256(text.encode()).hexdigest()
