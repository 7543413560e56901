"""What there must be before the shop can open: tables, an administrator, full shelves.

The database may have seen demos before.
"""

from decimal import Decimal

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import Error, connection

from django_scheduler import ctx
from testproject.demo.errors import DemoError
from testproject.orders.functions import reserve_stock
from testproject.orders.models import Product

#: The user and the password of the administrator.
ADMINISTRATOR = "admin", "admin"

#: name: price, number on the shelf. The last vase is wanted by two.
SHELVES = {"Cups": (Decimal("12.50"), 20), "Teapot": (Decimal("34.00"), 20), "Vase": (Decimal("58.00"), 1)}


def prepare_database() -> str:
    """Migrate and fill the database, and return its name and version."""
    configuration = connection.settings_dict
    if configuration["NAME"] == ":memory:":
        raise DemoError("The shop and the scheduler are two processes, and a database in memory belongs to one.")
    try:
        version = ".".join(map(str, connection.get_database_version()))
        call_command("migrate", verbosity=0)
        create_administrator()
        _fill_shelves()
    except (Error, ImproperlyConfigured) as error:
        place = f"{configuration['NAME']!r}" + (f" on {configuration['HOST']}" if configuration["HOST"] else "")
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DemoError(f"The {connection.vendor} database {place} cannot be used: {reason}") from error
    return f"{connection.display_name} {version}"


def create_administrator() -> None:
    name, password = ADMINISTRATOR
    user, _ = get_user_model().objects.get_or_create(username=name)
    user.is_staff = user.is_superuser = user.is_active = True
    user.set_password(password)
    user.save()


def _fill_shelves() -> None:
    # What a demo that was interrupted has left behind would take from the shelves of this one.
    ctx.scheduler.cancel_all(reserve_stock)
    for name, (price, stock) in SHELVES.items():
        Product.objects.update_or_create(name=name, defaults={"price": price, "stock": stock})
