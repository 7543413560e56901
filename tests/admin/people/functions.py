from django_scheduler import Context, mutation


@mutation
def brew(ctx: Context) -> None:
    """Does nothing."""
