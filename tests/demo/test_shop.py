"""The shop's pages, as a customer uses them."""

from collections import Counter
from datetime import timedelta

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client
from django.urls import reverse

from django_scheduler import ctx
from django_scheduler.models import Failure, ScheduledFunction, State
from testproject.orders.functions import SoldOut, reserve_stock
from testproject.orders.models import Event, Order, Product
from testproject.orders.payment import DECLINED

pytestmark = pytest.mark.once

SHOP = reverse("orders:shop")
TEAPOT = {"email": "ann@customers.example", "items": ["Teapot"]}


@pytest.fixture
def shelves(db):
    for name, stock in {"Cups": 3, "Teapot": 3, "Vase": 0}.items():
        Product.objects.create(name=name, price="10.00", stock=stock)


@pytest.fixture
def invoice(shelves, client):
    """An order that is to be paid by invoice."""
    client.post(SHOP, TEAPOT)
    return Order.objects.get()


def scheduled() -> Counter[str]:
    return Counter(ScheduledFunction.objects.values_list("name", flat=True))


def test_the_front_page_shows_what_there_is(shelves, client):
    page = client.get(SHOP).content.decode()
    assert "Teapot" in page
    assert "csrfmiddlewaretoken" in page


@pytest.mark.django_db
def test_without_a_csrf_token_nothing_is_ordered():
    assert Client(enforce_csrf_checks=True).post(SHOP, TEAPOT).status_code == 403


def test_an_order_schedules_what_follows(shelves, client):
    answer = client.post(SHOP, TEAPOT)
    order = Order.objects.get()
    assert answer.status_code == 302
    assert answer.url == order.get_absolute_url()
    assert scheduled() == Counter(
        ["orders:send_confirmation", "orders:reserve_stock", "orders:archive_order", "orders:remind_customer"]
    )
    for function in ScheduledFunction.objects.all():
        assert function.state == State.PENDING
        assert function.decoded_args() == {"order_id": order.pk}
    archiving = ScheduledFunction.objects.get(name="orders:archive_order")
    week = 7 * settings.SHOP_DAY
    assert abs(archiving.scheduled_time - archiving.creation_time - week) < timedelta(seconds=1)


def test_an_order_paid_by_card_schedules_no_reminder(shelves, client):
    client.post(SHOP, {**TEAPOT, "card_number": "4242 4242 4242 4242", "express": "on"})
    assert Order.objects.get().state == Order.State.PAID
    assert scheduled() == Counter(
        ["orders:send_confirmation", "orders:reserve_stock", "orders:archive_order", "orders:book_courier"]
    )


@pytest.mark.django_db(transaction=True)
def test_a_declined_card_leaves_nothing(shelves, client):
    answer = client.post(SHOP, {**TEAPOT, "card_number": DECLINED})
    assert answer.status_code == 402
    assert "Your card was declined" in answer.content.decode()
    assert not Order.objects.exists()
    assert not Event.objects.exists()
    assert not ScheduledFunction.objects.exists()


def test_a_form_with_mistakes_orders_nothing(shelves, client):
    answer = client.post(SHOP, {"email": "nobody", "items": ["Moon"]})
    assert answer.status_code == 200
    assert not Order.objects.exists()


def test_the_page_of_an_order_shows_what_is_scheduled_for_it(invoice, client):
    page = client.get(invoice.get_absolute_url()).content.decode()
    assert "orders:remind_customer" in page
    assert "Pay the invoice" in page


def test_paying_cancels_the_reminder(invoice, client):
    answer = client.post(reverse("orders:pay", args=[invoice.pk]))
    assert answer.status_code == 302
    assert ScheduledFunction.objects.get(name="orders:remind_customer").state == State.CANCELED
    invoice.refresh_from_db()
    assert invoice.state == Order.State.PAID
    assert "Pay the invoice" not in client.get(invoice.get_absolute_url()).content.decode()


def test_paying_after_the_record_of_the_reminder_is_gone(invoice, client):
    ScheduledFunction.objects.all().delete()
    assert client.post(reverse("orders:pay", args=[invoice.pk])).status_code == 302


@pytest.mark.django_db
def test_nobody_pays_an_order_that_does_not_exist(client):
    assert client.post(reverse("orders:pay", args=[1])).status_code == 404


def test_what_is_sold_out_leaves_the_rest_on_the_shelf(shelves, client):
    client.post(SHOP, {**TEAPOT, "items": ["Teapot", "Vase"]})
    order = Order.objects.get()
    with pytest.raises(SoldOut, match="Vase"):
        ctx.run_mutation(reserve_stock, order_id=order.pk)
    assert Product.objects.get(name="Teapot").stock == 3


@pytest.mark.django_db(transaction=True)
def test_what_is_due_is_executed(shelves, client, execute_due, settings):
    settings.SHOP_DAY = timedelta(0)
    client.post(SHOP, {**TEAPOT, "items": ["Teapot", "Vase"], "express": "on"})
    execute_due()
    order = Order.objects.get()
    failed = dict(ScheduledFunction.objects.filter(state=State.FAILED).values_list("name", "failure"))
    assert failed == {"orders:reserve_stock": Failure.ERROR, "orders:book_courier": Failure.ERROR}
    assert sorted(message.subject for message in mail.outbox) == [f"{order}: please pay", f"{order}: thank you"]
    assert order.state == Order.State.ARCHIVED
    assert sorted(event.what for event in order.history.all()) == [
        "archived",
        "confirmation sent",
        "placed",
        "reminder sent",
    ]
