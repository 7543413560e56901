"""Names types that functions take; and names a function while it is imported, although the stub imports it."""

from enum import Enum
from typing import TypedDict

from django_scheduler import crons, internal


class Carrier(Enum):
    BIKE = "bike"
    TRAIN = "train"


class Address(TypedDict):
    street: str


crons.register("archive", crons.Daily(hour=3, timezone="UTC"), internal.orders.archive, order_id=1)
