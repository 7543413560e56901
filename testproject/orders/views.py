"""The shop's pages."""

from http import HTTPStatus

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from django_scheduler.models import UNFINISHED, ScheduledFunction
from testproject.orders import services
from testproject.orders.forms import OrderForm
from testproject.orders.models import Order
from testproject.orders.payment import CardDeclined


@require_http_methods(["GET", "POST"])
def shop(request: HttpRequest) -> HttpResponse:
    """What there is to buy, and the form to buy it with."""
    form = OrderForm(request.POST or None)
    status = HTTPStatus.OK
    if form.is_valid():
        try:
            order = services.place_order(
                email=form.cleaned_data["email"],
                items=[product.name for product in form.cleaned_data["items"]],
                card_number=form.cleaned_data["card_number"],
                express=form.cleaned_data["express"],
            )
        except CardDeclined as declined:
            form.add_error("card_number", str(declined))
            status = HTTPStatus.PAYMENT_REQUIRED
        else:
            return redirect(order)
    return render(request, "orders/shop.html", {"form": form, "orders": Order.objects.all()[:10]}, status=status)


@require_GET
def order(request: HttpRequest, order_id: int) -> HttpResponse:
    """An order: what has happened to it, and what is scheduled for it."""
    order = get_object_or_404(Order, pk=order_id)
    functions = ScheduledFunction.objects.filter(name__startswith="orders:", args__order_id=order_id).order_by("pk")
    unfinished = any(function.state in UNFINISHED for function in functions)
    return render(request, "orders/order.html", {"order": order, "functions": functions, "unfinished": unfinished})


@require_POST
def pay(request: HttpRequest, order_id: int) -> HttpResponse:
    try:
        return redirect(services.pay_order(order_id))
    except Order.DoesNotExist:
        raise Http404("There is no such order.") from None
