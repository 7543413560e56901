"""``python -m tests.middleware.tenants``: two customers sell at once, and nobody sells what is the other's.

Prints, as JSON, what is on record of each function and what each customer has sold.
"""

import json
import os
import sys

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.middleware.tenants.settings"
django.setup()

from django.core.management import call_command  # noqa: E402
from django_tenants.utils import schema_context  # noqa: E402

from django_scheduler import ctx  # noqa: E402
from django_scheduler.models import ScheduledFunction  # noqa: E402
from tests.middleware.tenants.customers.models import Customer  # noqa: E402
from tests.middleware.tenants.shop.functions import sell, sell_and_fail, tell_schema  # noqa: E402
from tests.middleware.tenants.shop.models import Sale  # noqa: E402

call_command("migrate_schemas", schema_name="public", verbosity=0)
for name in ("acme", "bolt"):
    Customer(schema_name=name, name=name).save(verbosity=0)
for number in range(3):
    for name in ("acme", "bolt"):
        with schema_context(name):
            ctx.scheduler.run_after(0, sell, number=number if name == "acme" else -number)
with schema_context("bolt"):
    ctx.scheduler.run_after(0, sell_and_fail, number=99)
ctx.scheduler.run_after(0, tell_schema)

call_command("runscheduler", drain=True, concurrency=2, verbosity=0)

sold = {}
for name in ("acme", "bolt"):
    with schema_context(name):
        sold[name] = sorted(Sale.objects.values_list("number", flat=True))
rows = ScheduledFunction.objects.order_by("pk").values("name", "state", "result", "context")
json.dump({"sold": sold, "functions": list(rows)}, sys.stdout)
