"""chancy, with asynchronous jobs."""

# /// script
# dependencies = ["chancy[cli]", "psycopg[binary]"]
# [tool.benchmark]
# databases = ["postgresql"]
# worker = "chancy --app benchmarks.contenders.chancy.make_app worker start"
# remark = "Asynchronous executor, `concurrency=100`, `eager_polling=True`. The bodies are plain SQL through psycopg."
# [tool.benchmark.future]
# table = "chancy_jobs"
# due = "scheduled_at"
# ///

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg
from chancy import Chancy, Job, Queue, job
from psycopg.rows import dict_row

from benchmarks.business import async_bodies
from benchmarks.contender import Contender

DSN = "postgresql://"  # libpq's variables say the rest


@job()
async def noop(*, number: int) -> None:
    await async_bodies.noop(number)


@job()
async def insert(*, number: int) -> None:
    await async_bodies.insert(number)


@job()
async def insert_twice(*, number: int) -> None:
    await async_bodies.insert_twice(number)


JOBS: dict[str, Any] = {"noop": noop, "insert": insert, "insert_twice": insert_twice}


def make_app() -> Chancy:
    return Chancy(DSN)


class ThisChancy(Contender):
    def __init__(self) -> None:
        self._app = make_app()
        self._connection = psycopg.connect(autocommit=True, row_factory=dict_row)

    def prepare(self) -> None:
        queue = Queue("default", concurrency=100, executor="chancy.executors.asyncex.AsyncExecutor", eager_polling=True)
        import asyncio

        async def make() -> None:
            async with Chancy(DSN) as app:
                await app.migrate()
                await app.declare(queue)

        asyncio.run(make())

    def schedule(self, body: str, job: int) -> float:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute("INSERT INTO business_order (number, customer) VALUES (%s, %s)", [job, "Ada Lovelace"])
            self._app.sync_push_many_ex(cursor, [_job(body, job)])
        return time.time()

    def schedule_many(self, body: str, jobs: Sequence[int]) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            self._app.sync_push_many_ex(cursor, [_job(body, job) for job in jobs])

    def schedule_at(self, body: str, job: int, when: datetime) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            self._app.sync_push_many_ex(cursor, [_job(body, job).with_scheduled_at(when)])

    def unfinished(self) -> int:
        query = "SELECT count(*) AS count FROM chancy_jobs WHERE state IN ('pending', 'running', 'retrying')"
        (row,) = self._connection.execute(query).fetchall()
        return int(row["count"])


def _job(body: str, number: int) -> Job:
    made: Job = JOBS[body].job.with_kwargs(number=number)
    return made


contender = ThisChancy
