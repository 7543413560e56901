from django.urls import path

from testproject.orders import views

app_name = "orders"

urlpatterns = [
    path("", views.shop, name="shop"),
    path("orders/<int:order_id>/", views.order, name="order"),
    path("orders/<int:order_id>/pay/", views.pay, name="pay"),
]
