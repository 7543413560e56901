"""Functions that the tests call over HTTP, and the rules that say who may."""

import datetime as dt
from decimal import Decimal
from typing import Any, NoReturn

from django.db import DatabaseError, transaction
from django.http import HttpRequest

from django_scheduler import Context, action, ctx, internal_action, internal_mutation, mutation
from django_scheduler.errors import ApplicationError, TransientError
from tests.models import Entry


@mutation
def http_write(ctx: Context, *, label: str, twice: bool = False) -> int:
    for _ in range(1 + twice):
        entry = Entry.objects.create(label=label)
    return entry.pk


@internal_mutation
def http_internal(ctx: Context, *, label: str) -> None:
    Entry.objects.create(label=label)


@internal_action
def http_internal_action(ctx: Context) -> None:
    Entry.objects.create(label="internal")


@mutation
def http_echo(ctx: Context, /, **values: Any) -> Any:
    return values


@mutation  # type: ignore[arg-type]
def http_take_anything(ctx: Context, **values: Any) -> Any:
    return values


@mutation
def http_who(context: Context) -> list[str]:
    """Who calls, as the function's own ctx, the imported one, and a function that it calls say."""
    ctx.scheduler.run_after(0, http_who_later)
    return [str(context.user), str(ctx.user), context.run_mutation(http_who_inside)]


@internal_mutation
def http_who_inside(ctx: Context) -> str:
    return str(ctx.user)


@internal_mutation
def http_who_later(ctx: Context) -> str:
    return str(ctx.user)


@action
async def http_who_async(ctx: Context) -> str:
    assert ctx.user is not None
    return ctx.user.get_username()


@action
def http_atomic(ctx: Context) -> bool:
    return bool(transaction.get_connection().in_atomic_block)


@mutation
def http_refuse(ctx: Context, *, data: Any) -> NoReturn:
    Entry.objects.create(label="undone")
    raise ApplicationError(data)


@action
def http_refuse_unspeakably(ctx: Context) -> NoReturn:
    raise ApplicationError({"what": object()})


@mutation
def http_fail(ctx: Context) -> NoReturn:
    Entry.objects.create(label="undone")
    raise ValueError("the secret is 42")


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@action
def http_fail_unspeakably(ctx: Context) -> NoReturn:
    raise UnspeakableError


@mutation
def http_return_unspeakable(ctx: Context, *, label: str) -> object:
    Entry.objects.create(label=label)
    return object()


@action
def http_return_nan(ctx: Context) -> float:
    return float("nan")


@action
def http_return_types(ctx: Context) -> Any:
    return {"decimal": Decimal("1.10"), "tuple": (1, 2), "date": dt.date(2026, 1, 2)}


@mutation
def http_fail_after_commit(ctx: Context, *, label: str) -> str:
    Entry.objects.create(label=label)
    transaction.on_commit(_fail)
    return label


def _fail() -> NoReturn:
    raise DatabaseError("a hook went wrong")


_tries: list[str] = []


@mutation
def http_conflict_once(ctx: Context, *, label: str) -> int:
    Entry.objects.create(label=label)
    _tries.append(label)
    if _tries.count(label) == 1:
        raise TransientError("once")
    return _tries.count(label)


def only_staff(request: HttpRequest, function: Any) -> bool:
    return bool(getattr(request.user, "is_staff", False)) and function.name.startswith("tests:")


async def only_staff_async(request: HttpRequest, function: Any) -> bool:
    return only_staff(request, function)


#: What ``deny_all`` was asked about.
asked: list[tuple[str, str]] = []


def deny_all(request: HttpRequest, function: Any) -> bool:
    asked.append((function.name, function.kind.value))
    return False


def permit_all(request: HttpRequest, function: Any) -> bool:
    return True


def raise_error(request: HttpRequest, function: Any) -> bool:
    raise RuntimeError("the rule went wrong")


def forget_to_return(request: HttpRequest, function: Any) -> None:
    pass


def return_something(request: HttpRequest, function: Any) -> str:
    return "yes"


not_callable = "x"
