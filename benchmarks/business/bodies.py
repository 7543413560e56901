"""What the functions do, for the contenders that use Django."""

import time

from django.db import connection

from benchmarks import journal
from benchmarks.business.models import Effect
from benchmarks.business.work import WORK


def noop(job: int) -> None:
    journal.record(job)


def insert(job: int) -> None:
    journal.record(job)
    Effect.objects.create(job=job)


def insert_sql(job: int) -> None:
    """Do what ``insert`` does without the ORM, as those do that have no connection with Django."""
    journal.record(job)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO effect (job) VALUES (%s)", [job])


def insert_twice(job: int) -> None:
    """What is to be killed in the middle."""
    insert(job)
    time.sleep(WORK)
    Effect.objects.create(job=job)


BODIES = (noop, insert, insert_sql, insert_twice)
