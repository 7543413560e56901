"""What the members of a group do: something ordinary, or something that ends the group."""

import contextlib
from collections.abc import Callable
from datetime import timedelta

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from django_scheduler import Context, RateLimit, action, mutation
from django_scheduler.errors import TransientError
from django_scheduler.scheduling.interventions import reschedule
from tests.models import Entry, Line

starts: list[str] = []
hooks: list[str] = []

#: What a test has a body do.
interludes: dict[str, Callable[[], None]] = {}


@mutation(name="nothing_in_a_group")
def nothing(ctx: Context) -> None: ...


@mutation
def enter(ctx: Context, *, label: str) -> int | None:
    """Write an entry, and return the id of the function that has done it."""
    starts.append(label)
    Entry.objects.create(label=label, function_id=ctx.function_id)
    if interlude := interludes.get(label):
        interlude()
    return ctx.function_id


#: The same in queues of their own, so that they are not in one group.
enter_in = {queue: mutation(name=f"enter_{queue}", queue=queue)(enter.body) for queue in ("beside", "left", "right")}
enter_alone_beside = mutation(name="enter_alone_beside", queue="beside", alone=True)(enter.body)
nothing_in = {queue: mutation(name=f"nothing_{queue}", queue=queue)(nothing.body) for queue in ("left", "right")}


enter_under_another_name = mutation(name="enter_under_another_name")(enter.body)


@mutation
def enter_with_hooks(ctx: Context, *, label: str, fails: bool = False) -> None:
    def hook() -> None:
        assert not connection.in_atomic_block
        hooks.append(label)
        if fails:
            raise ValueError(label)

    Entry.objects.create(label=label, function_id=ctx.function_id)
    transaction.on_commit(hook)
    transaction.on_commit(lambda: hooks.append(f"{label} again"))


@mutation(rate_limit=RateLimit(100, per=timedelta(hours=1)))
def enter_and_raise_at_a_rate(ctx: Context, *, label: str) -> None:
    enter_and_raise(ctx, label=label)


@mutation
def enter_and_raise(ctx: Context, *, label: str) -> None:
    starts.append(label)
    Entry.objects.create(label=label, function_id=ctx.function_id)
    raise ValueError(f"{label} is not to be")


@mutation
def enter_and_be_repeated_once(ctx: Context, *, label: str) -> None:
    starts.append(label)
    Entry.objects.create(label=label, function_id=ctx.function_id)
    if starts.count(label) < 3:  # in the group, and alone
        raise TransientError("not yet")


@mutation
def swallow_an_error(ctx: Context, *, label: str) -> None:
    starts.append(label)
    Entry.objects.create(label=label, function_id=ctx.function_id)
    with contextlib.suppress(DatabaseError):
        fail_in_the_database()


@mutation
def catch_an_error_in_a_savepoint(ctx: Context, *, label: str) -> str:
    starts.append(label)
    try:
        with transaction.atomic():
            fail_in_the_database()
    except DatabaseError:
        Entry.objects.create(label=label, function_id=ctx.function_id)
        return "caught"
    return "passed"


def fail_in_the_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nothing FROM nowhere")


@mutation
def refer_to_nothing(ctx: Context, *, entry_id: int) -> None:
    starts.append("refers")
    Line.objects.create(entry_id=entry_id)


@mutation
def enter_with_id(ctx: Context, *, entry_id: int) -> None:
    Entry.objects.create(pk=entry_id, label="referred to")


@mutation
def write_a_line_before_its_entry(ctx: Context, *, entry_id: int) -> None:
    starts.append("line first")
    Line.objects.create(entry_id=entry_id)
    Entry.objects.create(pk=entry_id, label="second")


@mutation
def set_for_the_transaction(ctx: Context) -> None:
    starts.append("set")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '59s'")


@mutation
def tell_setting(ctx: Context) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return str(cursor.fetchone()[0])


@mutation
def schedule_many(ctx: Context, *, number: int) -> None:
    for _ in range(number):
        ctx.scheduler.run_after(60_000, nothing)


@mutation
def schedule_one(ctx: Context) -> int:
    return ctx.scheduler.run_after(0, enter, label="child")


@mutation
def cancel(ctx: Context, *, function_id: int) -> None:
    starts.append("cancel")
    ctx.scheduler.cancel(function_id)


@mutation
def leave_open(ctx: Context) -> None:
    """Enters a block by hand, and does not leave it."""
    starts.append("open")
    transaction.atomic().__enter__()


@mutation(alone=True)
def enter_alone(ctx: Context, *, label: str) -> None:
    Entry.objects.create(label=label, function_id=ctx.function_id)


@action
def act(ctx: Context) -> None: ...


@mutation
def execute(ctx: Context, *, sql: str, swallows: bool) -> None:
    with contextlib.suppress(*[Exception] if swallows else []), connection.cursor() as cursor:
        cursor.execute(sql)


@mutation
def put_off(ctx: Context, *, function_id: int, hours: int) -> None:
    reschedule("default", [function_id], timezone.now() + timedelta(hours=hours))


@mutation
def put_off_when_alone(ctx: Context, *, function_id: int) -> None:
    starts.append("puts off")
    if starts.count("puts off") > 1:
        reschedule("default", [function_id], timezone.now() + timedelta(hours=1))


@mutation(alone=True)
def call_alone(ctx: Context, *, label: str) -> None:
    interludes[label]()


@mutation
def enter_with_a_hook(ctx: Context, *, label: str) -> None:
    enter.body(ctx, label=label)
    transaction.on_commit(interludes[f"{label}, after its commit"])
