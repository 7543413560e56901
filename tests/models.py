"""What the tests' functions write: enough to see what has happened, how often, and in which order."""

from django.db import models


class Entry(models.Model):
    """A line in the ledger: that something has happened."""

    label = models.CharField(max_length=200)
    function_id = models.BigIntegerField(null=True)
    executor = models.CharField(max_length=200, blank=True)

    class Meta:
        # Without an order PostgreSQL returns rows as they lie on the page, and puts new ones where deleted ones lay.
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.label


class Line(models.Model):
    """Refers to an entry by a foreign key, which the database may check only at COMMIT."""

    entry = models.ForeignKey(Entry, on_delete=models.CASCADE)

    def __str__(self) -> str:
        return f"line of {self.entry_id}"


class Account(models.Model):
    """Two of them make a deadlock."""

    balance = models.IntegerField(default=0)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.pk}: {self.balance}"
