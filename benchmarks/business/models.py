"""The tables of the business. The harness creates them, because not every contender uses Django."""

from django.db import models


class Order(models.Model):
    """What a request writes, and schedules a function beside."""

    objects: "models.Manager[Order]" = models.Manager()

    number = models.BigIntegerField()
    customer = models.CharField(max_length=100)

    class Meta:
        managed = False
        db_table = "business_order"


class Effect(models.Model):
    """What a body writes: the proof that it has run."""

    objects: "models.Manager[Effect]" = models.Manager()

    job = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "effect"
