"""The shop's mutations and actions: what happens to an order, now and later."""

from datetime import timedelta
from http.client import HTTPConnection

from django.conf import settings
from django.core.mail import send_mail
from django.utils import timezone

from django_scheduler import Context, crons, internal, internal_action, internal_mutation, mutation
from testproject.orders.models import Order, Product


class SoldOut(Exception):
    """Somebody else was faster."""


class CourierUnavailable(Exception):
    """The courier's web service refuses."""


@mutation
def create_order(ctx: Context, *, email: str, items: list[str]) -> int:
    """Create an order and schedule what follows: all of it, or, when the transaction fails, nothing."""
    order = Order.objects.create(email=email, items=items)
    order.history.create(what="placed")
    ctx.scheduler.run_after(0, send_confirmation, order_id=order.pk)
    ctx.scheduler.run_after(0, reserve_stock, order_id=order.pk)
    # By reference: the function may be anywhere, and nothing needs to be imported.
    ctx.scheduler.run_after(7 * settings.SHOP_DAY, internal.orders.archive_order, order_id=order.pk)
    return order.pk


@internal_action(queue="email")
def send_confirmation(ctx: Context, *, order_id: int) -> None:
    """An action: it never sends a second mail, whatever happens to the scheduler meanwhile."""
    order = Order.objects.get(pk=order_id)
    send_mail(f"{order}: thank you", f"You have ordered: {', '.join(order.items)}.", None, [order.email])
    ctx.run_mutation(note, order_id=order_id, what="confirmation sent")


@internal_action(queue="email")
def remind_customer(ctx: Context, *, order_id: int) -> None:
    order = Order.objects.get(pk=order_id)
    send_mail(f"{order}: please pay", "We have not received your payment yet.", None, [order.email])
    ctx.run_mutation(note, order_id=order_id, what="reminder sent")


@internal_action
def book_courier(ctx: Context, *, order_id: int) -> None:
    """An action, because a call to somebody else's service cannot be rolled back."""
    connection = HTTPConnection(settings.COURIER, timeout=5)
    try:
        connection.request("POST", "/pickups", body=f"order={order_id}")
        status = connection.getresponse().status
    finally:
        connection.close()
    if status >= 400:
        raise CourierUnavailable(f"the courier answers {status}")
    ctx.run_mutation(note, order_id=order_id, what="courier booked")


@internal_mutation
def reserve_stock(ctx: Context, *, order_id: int) -> None:
    """A mutation: when one of the products is sold out, the ones before it are back on the shelf."""
    order = Order.objects.get(pk=order_id)
    for product in Product.objects.select_for_update().filter(name__in=order.items):
        if product.stock == 0:
            raise SoldOut(f"{product} is sold out")
        product.stock -= 1
        product.save(update_fields=["stock"])
    order.history.create(what="stock reserved")


@internal_mutation
def archive_order(ctx: Context, *, order_id: int) -> None:
    order = Order.objects.get(pk=order_id)
    order.state = Order.State.ARCHIVED
    order.save(update_fields=["state"])
    order.history.create(what="archived")


@internal_mutation
def note(ctx: Context, *, order_id: int, what: str) -> None:
    """Write something into an order's history, if the order is still there."""
    for order in Order.objects.filter(pk=order_id):
        order.history.create(what=what)


@internal_mutation
def forget_old_orders(ctx: Context, *, older_than: timedelta) -> int:
    """Delete archived orders, and return how many there were."""
    archived = Order.objects.filter(state=Order.State.ARCHIVED)
    _, deleted = archived.filter(creation_time__lt=timezone.now() - older_than).delete()
    return deleted.get(Order._meta.label, 0)


crons.register(
    "forget old orders", crons.Weekly(day="sunday", hour=3), forget_old_orders, older_than=timedelta(days=3650)
)
