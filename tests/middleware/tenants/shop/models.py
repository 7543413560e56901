from django.db import models


class Sale(models.Model):
    """Is in the schema of each tenant."""

    number = models.IntegerField()

    def __str__(self) -> str:
        return str(self.number)
