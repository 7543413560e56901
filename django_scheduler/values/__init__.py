"""Arguments and results as JSON: they come back equal and of the same type, whatever the database.

What JSON has stays plain, so that ``args__order_id=7`` finds it. Everything else is an object with a single
key that begins with ``$``::

    plain         None, bool, int of 64 bits, float of 15 digits, str, list, dict whose keys are plain names
    {"$int": "0xffffffffffffffff"}                              any other int
    {"$float": "1e+300"}                                        any other float
    {"$str": "nul \\x00"}                                       text with NUL or lone surrogates
    {"$bytes": "base64"}  {"$decimal": "1.10"}  {"$uuid": "..."}
    {"$datetime": "2026-03-29T02:30:00+00:00"}                  naive, or at a fixed offset; $time likewise
    {"$datetime": ["2026-03-29T02:30:00", "Europe/Berlin", 0]}  local time, zone (or offset or null), fold
    {"$date": "2026-03-29"}  {"$timedelta": [days, seconds, microseconds]}
    {"$tuple": [...]}  {"$set": [...]}  {"$frozenset": [...]}
    {"$dict": [[key, value], ...]}                              any other dict
    {"$enum": ["orders.models:Order.Status", "PAID"]}           Flag: "READ|WRITE"
    {"$dataclass": ["orders.money:Money", {"amount": ...}]}
    {"$model": ["orders.order", 7, "default"]}                  label, primary key, database alias
    {"$repr": "..."}                                            a result that could not be stored

A dict comes back equal, but PostgreSQL and MySQL put plain keys into an order of their own.

No pickle: nothing in the database can name anything to be called but an enum, a dataclass or a model, of a module that
is loaded, or that lies below an installed app or what the setting ``VALUE_MODULES`` names.

* ``arguments_and_results.py`` has what others call.
* ``codec.py`` knows which type is encoded by what, and goes through what is nested.
* ``scalars.py``, ``containers.py`` and ``instances.py`` encode and decode one kind of value each.
* ``comparison.py`` says which stored values are equal.
* ``unrestored.py`` checks what ``instances.py`` would restore.
* ``problem.py`` makes the message where a value cannot be stored.
"""

from django_scheduler.values.arguments_and_results import (
    REPR,
    check_arguments,
    dump_arguments,
    dump_result,
    load_arguments,
    load_result,
    parse_json,
)
from django_scheduler.values.codec import MAXIMUM_DEPTH, PLAIN_TYPES, decode, encode
from django_scheduler.values.comparison import comparable, findable, in_one_order
from django_scheduler.values.instances import MAY_BE_GONE, Gone, InstanceGone
from django_scheduler.values.problem import short_repr
from django_scheduler.values.scalars import JSONValue, is_plain_text, require_plain_text, to_json

__all__ = [
    "MAXIMUM_DEPTH",
    "MAY_BE_GONE",
    "PLAIN_TYPES",
    "REPR",
    "Gone",
    "InstanceGone",
    "JSONValue",
    "check_arguments",
    "comparable",
    "decode",
    "dump_arguments",
    "dump_result",
    "encode",
    "findable",
    "in_one_order",
    "is_plain_text",
    "load_arguments",
    "load_result",
    "parse_json",
    "require_plain_text",
    "short_repr",
    "to_json",
]
