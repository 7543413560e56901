"""What customers can do. The views call these; so could an API, or the shell."""

from contextlib import suppress

from django.conf import settings
from django.db import transaction

from django_scheduler import ctx
from django_scheduler.errors import AlreadyFinished, UnknownScheduledFunction
from testproject.orders.functions import book_courier, create_order, remind_customer
from testproject.orders.models import Order
from testproject.orders.payment import charge


def place_order(*, email: str, items: list[str], card_number: str = "", express: bool = False) -> Order:
    """Place an order, to be paid by card now or else by invoice.

    Raises ``CardDeclined``. Then the transaction takes all with it: the order, and what it scheduled.
    """
    with transaction.atomic():
        order_id = ctx.run_mutation(create_order, email=email, items=items)
        order = Order.objects.get(pk=order_id)
        if express:
            ctx.scheduler.run_after(0, book_courier, order_id=order_id)
        if card_number:
            charge(card_number)
            order.state = Order.State.PAID
        else:
            order.reminder = ctx.scheduler.run_after(5 * settings.SHOP_DAY, remind_customer, order_id=order_id)
        order.save(update_fields=["state", "reminder"])
    return order


def pay_order(order_id: int) -> Order:
    """Note that the invoice was paid, and call off the reminder: both, or neither.

    Raises ``Order.DoesNotExist``.
    """
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order_id)
        if order.reminder is not None:
            # The customer may have been reminded already, even so long ago that the record of it is gone.
            with suppress(AlreadyFinished, UnknownScheduledFunction):
                ctx.scheduler.cancel(order.reminder)
            order.reminder = None
            if order.state == Order.State.PLACED:
                order.state = Order.State.PAID
            order.save(update_fields=["state", "reminder"])
            order.history.create(what="paid")
    return order
