"""What the tests' crons do."""

from django_scheduler import Context, action, internal_mutation, mutation
from tests.models import Entry
from tests.support.gates import Gate


@mutation
def tick(ctx: Context, *, label: str = "tick") -> None:
    Entry.objects.create(label=label, function_id=ctx.function_id)


@mutation
def tick_and_fail(ctx: Context) -> None:
    raise ValueError("it is no good")


@action
def tick_at_gate(ctx: Context, *, label: str, gate: str) -> None:
    """Takes as long as the gate is closed."""
    Entry.objects.create(label=label, function_id=ctx.function_id)
    Gate(gate).pass_through()


@mutation
def tick_for_all(ctx: Context, *, names: set[str]) -> None:
    Entry.objects.bulk_create(Entry(label=name, function_id=ctx.function_id) for name in names)


@mutation
def tick_with_secrets(ctx: Context, *, label: str, token: str, more: list[dict[str, str]]) -> None:
    Entry.objects.create(label=label, function_id=ctx.function_id)


@internal_mutation(admin=False)
def tick_by_code_alone(ctx: Context, *, label: str = "tick") -> None:
    Entry.objects.create(label=label, function_id=ctx.function_id)
