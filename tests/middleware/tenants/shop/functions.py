from django.db import connection

from django_scheduler import Context, action, internal_mutation, mutation
from tests.middleware.tenants.shop.models import Sale


@mutation
def sell(ctx: Context, *, number: int) -> str:
    Sale.objects.create(number=number)
    ctx.scheduler.run_after(0, count)
    ctx.scheduler.run_after(0, count_async)
    return connection.schema_name


@mutation
def sell_and_fail(ctx: Context, *, number: int) -> None:
    Sale.objects.create(number=number)
    raise ValueError("sold out")


@action
def count(ctx: Context) -> int:
    return Sale.objects.count()


@action
async def count_async(ctx: Context) -> int:
    return await Sale.objects.acount()


@internal_mutation
def tell_schema(ctx: Context) -> str:
    return connection.schema_name
