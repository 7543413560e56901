"""A model that imports a function late: the function takes that model, so the stub imports this module."""

from django.db import models

from django_scheduler import ctx


class Invoice(models.Model):
    def __str__(self) -> str:
        return f"invoice {self.pk}"

    def send_later(self) -> None:
        from payments.functions import Channel, send

        ctx.scheduler.run_after(0, send, invoice=self, by=Channel.MAIL)
        ctx.scheduler.run_after(0, send, invoice=self, by="mail")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
