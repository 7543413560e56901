"""Functions of every kind, to be called rightly and wrongly."""

from django_scheduler import Context, action, internal_action, internal_mutation, mutation


@mutation
def create_order(ctx: Context, *, items: list[str], paid: bool = False) -> int:
    return len(items)


@internal_mutation(queue="slow", priority=-1)
def archive_order(ctx: Context, order_id: int) -> None: ...


@action(name="confirm")
def send_confirmation(ctx: Context, *, order_id: int) -> str:
    return str(order_id)


@internal_action
async def fetch_rate(ctx: Context, currency: str) -> float:
    return len(currency)


def plain(ctx: Context, *, order_id: int) -> None: ...


@mutation
def tag_order(ctx: Context, /, order_id: int, **tags: str) -> None:
    """With ``**``, ctx must be positional-only: a tag could be called like it."""
