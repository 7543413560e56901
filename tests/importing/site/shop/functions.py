"""What the tasks of the site have become."""

from datetime import timedelta

from django_scheduler import Context, internal_action, internal_mutation, mutation


@internal_action(queue="email", expires=timedelta(hours=1))
def send_digest(ctx: Context, *, shop_id: int, subject: str = "") -> None: ...


@internal_mutation
def expire_carts(ctx: Context) -> None: ...


@mutation
def archive_order(ctx: Context, order_id: int, reason: str = "old") -> None: ...
