"""What the customers do. Each step waits until what it has set off at once has ended."""

from http import HTTPStatus

from testproject.demo.customer import Customer
from testproject.demo.timeline import Timeline
from testproject.orders.payment import DECLINED

#: How long a step may take, and how long to look at it, in seconds.
PATIENCE, PAUSE = 5.0, 0.3


class Story:
    """The orders, by the names of their customers."""

    def __init__(self, shop: str, timeline: Timeline) -> None:
        self._shop = shop
        self._timeline = timeline
        self.orders: dict[str, int] = {}
        self.emails: dict[str, str] = {}
        #: How many functions each order has scheduled.
        self.scheduled: dict[str, int] = {}

    def tell(self) -> None:
        self._order("Ann", "orders a teapot and the last vase, to be paid by invoice", "Teapot", "Vase")
        self._pay("Ann")
        self._order("Ben", "orders cups, and his card is declined", "Cups", card_number=DECLINED)
        self._order("Cleo", "orders cups and a vase, which is sold out by now", "Cups", "Vase", card_number="4242")
        self._order(
            "Dan", "orders a teapot by express, and no courier answers", "Teapot", card_number="4242", express="on"
        )
        self._timeline.tell("Seven days pass, and nobody does anything")

    def _order(self, name: str, what: str, *items: str, **fields: str) -> None:
        customer = Customer(name, self._shop)
        self.emails[name] = customer.email
        before = self._timeline.functions.count()
        self._timeline.tell(f"{name} {what}")
        status, order_id = customer.order(*items, **fields)
        self.scheduled[name] = self._timeline.functions.count() - before
        if order_id is not None:
            self.orders[name] = order_id
        self._tell_answer(name, status, f", order {order_id}" if order_id else "")
        self._wait()

    def _pay(self, name: str) -> None:
        if name not in self.orders:
            return  # the shop has refused the order, and the promises will tell
        self._timeline.tell(f"{name} pays, so she need not be reminded")
        self._tell_answer(name, Customer(name, self._shop).pay(self.orders[name]))
        self._wait()

    def _tell_answer(self, name: str, status: HTTPStatus, detail: str = "") -> None:
        self._timeline.tell(f"  the shop answers {name}: {status.value} {status.phrase}{detail}")

    def _wait(self) -> None:
        self._timeline.follow(self._timeline.is_quiet, seconds=PATIENCE)
        self._timeline.follow(seconds=PAUSE)
