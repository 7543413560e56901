"""JSON as text that every database's JSON column takes: ASCII, compact, without NaN."""

import json
from collections.abc import Callable
from typing import TypeAlias

JSONValue: TypeAlias = "bool | int | float | str | list[JSONValue] | dict[str, JSONValue] | None"

# One encoder for all: json.dumps() would make a new one for each call with these options.
to_json: Callable[[JSONValue], str] = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, check_circular=False, separators=(",", ":")
).encode
