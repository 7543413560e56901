"""What the shop sells, and to whom."""

from django.db import models
from django.urls import reverse


class Product(models.Model):
    name = models.CharField(max_length=100, unique=True)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    stock = models.PositiveIntegerField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Order(models.Model):
    class State(models.TextChoices):
        PLACED = "placed"
        PAID = "paid"
        ARCHIVED = "archived"

    email = models.EmailField()
    #: The names of the products.
    items = models.JSONField()
    state = models.CharField(max_length=16, choices=State.choices, default=State.PLACED)
    #: The id of the scheduled function that will remind the customer to pay.
    reminder = models.BigIntegerField(null=True, blank=True, editable=False)
    creation_time = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"Order {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("orders:order", args=[self.pk])


class Event(models.Model):
    """Something that has happened to an order."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="history")
    what = models.CharField(max_length=100)
    time = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.what
