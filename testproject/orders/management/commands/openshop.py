"""``manage.py openshop``: an administrator, and full shelves, where there are none yet."""

from typing import Any

from django.core.management.base import BaseCommand

from testproject.demo.preparation import ADMINISTRATOR, SHELVES, create_administrator
from testproject.orders.models import Product


class Command(BaseCommand):
    help = "Creates an administrator with a password that everybody knows, and the products, where they are missing."

    def handle(self, **options: Any) -> None:
        create_administrator()
        for name, (price, stock) in SHELVES.items():
            Product.objects.get_or_create(name=name, defaults={"price": price, "stock": stock})
        name, password = ADMINISTRATOR
        self.stdout.write(f"The shop is open. Its administrator is {name}, with the password {password}.")
