"""Every promise of the demo, checked against the database and the mail that was written."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import QuerySet

from django_scheduler.models import ScheduledFunction, State
from testproject.demo.preparation import SHELVES
from testproject.demo.story import Story
from testproject.orders.models import Event, Order, Product


@dataclass(frozen=True, slots=True)
class Verdict:
    held: bool
    evidence: str


class Promises:
    """``functions``: all that was scheduled while the story was told."""

    def __init__(self, story: Story, functions: QuerySet[ScheduledFunction]) -> None:
        self._story = story
        self._functions = functions

    def check(self) -> Iterable[tuple[str, Verdict]]:
        """Each promise in words, and whether it held."""
        promises: list[tuple[str, Callable[[], Verdict]]] = [
            ("An order and what it schedules are committed together", self._committed_together),
            ("An order that is rolled back leaves nothing, and nothing scheduled", self._rolled_back),
            ("The confirmation is mailed after the order has committed, and once", self._confirmation),
            ("Each order is archived after seven days, exactly once", self._archived),
            ("A reminder that is canceled never starts", self._canceled),
            ("A mutation that fails leaves nothing that it had written", self._failed_mutation),
            ("An action that fails is on record, and is not started again", self._failed_action),
            ("Nothing starts before its time", self._in_time),
            ("Nothing is left to do", self._finished),
        ]
        for promise, check in promises:
            try:
                verdict = check()
            except Exception as error:  # something that should be there is not
                verdict = Verdict(False, f"{type(error).__name__}: {error}")
            yield promise, verdict

    def _committed_together(self) -> Verdict:
        order = self._order("Ann")
        names = [name.partition(":")[2] for name in self._functions_of(order).values_list("name", flat=True)]
        held = sorted(names) == ["archive_order", "remind_customer", "reserve_stock", "send_confirmation"]
        return Verdict(held, f"{order} is there, and so are its functions: {', '.join(names)}")

    def _rolled_back(self) -> Verdict:
        orders = set(Order.objects.values_list("pk", flat=True))
        of_nobody = [f for f in self._functions if f.decoded_args()["order_id"] not in orders]
        left = Order.objects.filter(email=self._story.emails["Ben"]).count()
        scheduled = self._story.scheduled["Ben"]
        return Verdict(
            left == 0 and scheduled == 0 and not of_nobody,
            f"orders by Ben: {left}; functions that his scheduled: {scheduled}, of no order: {len(of_nobody)}",
        )

    def _confirmation(self) -> Verdict:
        order = self._order("Ann")
        function = self._function("send_confirmation", order)
        subjects = [subject for subject in _subjects_of_mail_about(order) if "thank you" in subject]
        return Verdict(
            function.state == State.SUCCESS and len(subjects) == 1 and _delay(function) >= timedelta(0),
            f"{_outcome(function)}, started {_milliseconds(_delay(function))} after it was scheduled;"
            f" mailed: {', '.join(subjects) or 'nothing'}",
        )

    def _archived(self) -> Verdict:
        evidence, held = [], True
        for name in self._story.orders:
            order = self._order(name)
            function = self._function("archive_order", order)
            times = order.history.filter(what="archived").count()
            waited = function.scheduled_time - function.creation_time
            seven_days = abs(waited - 7 * settings.SHOP_DAY) < timedelta(milliseconds=100)
            held &= times == 1 and order.state == Order.State.ARCHIVED and seven_days
            held &= function.state == State.SUCCESS
            evidence.append(f"{order}: {times} time, {_milliseconds(_delay(function))} after it was due")
        return Verdict(held, "; ".join(evidence))

    def _canceled(self) -> Verdict:
        order = self._order("Ann")
        function = self._function("remind_customer", order)
        subjects = [subject for subject in _subjects_of_mail_about(order) if "please pay" in subject]
        return Verdict(
            function.state == State.CANCELED and function.started_time is None and not subjects,
            f"{_outcome(function)}, started {function.started_time or 'never'}; reminders mailed: {len(subjects)}",
        )

    def _failed_mutation(self) -> Verdict:
        order = self._order("Cleo")
        function = self._function("reserve_stock", order)
        before, after = SHELVES["Cups"][1], Product.objects.get(name="Cups").stock
        events = Event.objects.filter(order=order, what="stock reserved").count()
        return Verdict(
            function.state == State.FAILED and function.attempts == 1 and after == before and events == 0,
            f"{_outcome(function)}; cups on the shelf before it took one: {before}, after it failed: {after}",
        )

    def _failed_action(self) -> Verdict:
        function = self._function("book_courier", self._order("Dan"))
        return Verdict(
            function.state == State.FAILED and function.attempts == 1 and bool(function.traceback),
            f"{_outcome(function)}; attempts: {function.attempts}",
        )

    def _in_time(self) -> Verdict:
        delays = [_delay(function) for function in self._functions if function.started_time]
        return Verdict(
            bool(delays) and min(delays) >= timedelta(0),
            f"{len(delays)} have started, {_milliseconds(min(delays))} to {_milliseconds(max(delays))} after it",
        )

    def _finished(self) -> Verdict:
        states = Counter(State(function.state).label for function in self._functions)
        unfinished = states[State.PENDING.label] + states[State.IN_PROGRESS.label]
        return Verdict(not unfinished, ", ".join(f"{number} {state}" for state, number in sorted(states.items())))

    def _order(self, name: str) -> Order:
        return Order.objects.get(pk=self._story.orders[name])

    def _functions_of(self, order: Order) -> QuerySet[ScheduledFunction]:
        return self._functions.filter(args__order_id=order.pk)

    def _function(self, name: str, order: Order) -> ScheduledFunction:
        return self._functions_of(order).get(name=f"orders:{name}")


def _subjects_of_mail_about(order: Order) -> list[str]:
    mail = "".join(file.read_text() for file in Path(settings.MAILS).glob("*"))
    return re.findall(rf"^Subject: ({order}: .*)$", mail, re.MULTILINE)


def _outcome(function: ScheduledFunction) -> str:
    return f"{function.get_state_display()}{f' ({function.error})' if function.error else ''}"


def _delay(function: ScheduledFunction) -> timedelta:
    if function.started_time is None:
        raise LookupError(f"{function} has not started: it is {function.get_state_display()}")
    return function.started_time - function.scheduled_time


def _milliseconds(length: timedelta) -> str:
    return f"{length / timedelta(milliseconds=1):.0f} ms"
