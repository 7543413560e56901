"""What the tests' crons do."""

from django_scheduler import Context, action, mutation
from tests.models import Entry
from tests.processes.gate import Gate


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
