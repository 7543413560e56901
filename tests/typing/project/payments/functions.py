"""Functions that take types of their own module, and import nothing but the package: mypy could look here first."""

from enum import Enum
from typing import NotRequired, TypedDict, Unpack

from django_scheduler import Context, internal, internal_mutation
from payments.models import Invoice


class Channel(Enum):
    MAIL = "mail"
    FAX = "fax"


@internal_mutation
def send(ctx: Context, *, invoice: Invoice, by: Channel) -> None:
    ctx.scheduler.run_after(0, send, invoice=invoice, by=Channel.FAX)
    ctx.scheduler.run_after(0, internal.payments.send, invoice=invoice, by=Channel.FAX)
    ctx.scheduler.run_after(0, send, invoice=invoice, bye=Channel.FAX)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


class Terms(TypedDict):
    days: int
    note: NotRequired[str]


@internal_mutation
def remind(ctx: Context, *, number: int, **terms: Unpack[Terms]) -> None:
    ctx.scheduler.run_after(0, remind, number=number, days=7)
    ctx.scheduler.run_after(0, internal.payments.remind, number=number, days=7, note="again")
    ctx.scheduler.run_after_many(0, remind, [{"number": number, "days": 7}])
    ctx.scheduler.run_after(0, "payments:remind", number=number, days="7")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ctx.scheduler.run_after_many(0, remind, [{"number": number}])  # type: ignore[arg-type, typeddict-item, typeddict-unknown-key]  # pyright: ignore[reportArgumentType, reportCallIssue]
