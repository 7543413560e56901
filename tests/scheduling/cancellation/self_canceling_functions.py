"""Functions that try to cancel themselves, in every way there is."""

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.errors import CannotCancelSelf
from tests.models import Entry


@mutation
def cancel_self_in_mutation(context: Context) -> str:
    return try_to_cancel(context)


@mutation
def cancel_self_through_import(context: Context) -> str:
    return try_to_cancel(ctx)


@action
def cancel_self_in_action(context: Context) -> str:
    return try_to_cancel(context)


@action
async def cancel_self_in_async_action(context: Context) -> str:
    assert context.function_id
    try:
        await context.scheduler.acancel(context.function_id)
    except CannotCancelSelf:
        return "refused"
    return "canceled"


@action
def cancel_self_through_mutation(context: Context) -> str:
    return str(context.run_mutation(cancel_self_in_mutation))


@action
def cancel_self_through_action(context: Context) -> str:
    return str(context.run_action(cancel_self_in_async_action))


@mutation
def cancel_self_and_do_not_catch(context: Context) -> None:
    Entry.objects.create(label="written")
    assert context.function_id
    context.scheduler.cancel(context.function_id)


def try_to_cancel(context: Context) -> str:
    assert context.function_id
    try:
        context.scheduler.cancel(context.function_id)
    except CannotCancelSelf:
        return "refused"
    return "canceled"
