"""Orders and products in the admin."""

from django.contrib import admin

from testproject.orders.models import Order, Product

admin.site.register(
    Order,
    list_display=["__str__", "email", "items", "state", "creation_time"],
    list_filter=["state"],
    search_fields=["email"],
)
admin.site.register(Product, list_display=["name", "price", "stock"])
