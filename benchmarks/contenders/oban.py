"""oban, the Python edition."""

# /// script
# dependencies = ["oban", "psycopg[binary]"]
# requires-python = ">=3.12"
# [tool.benchmark]
# databases = ["postgresql"]
# worker = "oban start --dsn postgresql:// --queues default:20 --cron-modules benchmarks.contenders.oban"
# remark = "`--queues default:20`. The bodies are plain SQL through psycopg."
# [tool.benchmark.future]
# table = "oban_jobs"
# due = "scheduled_at"
# ///

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from oban import Oban, worker
from oban.schema import install
from psycopg_pool import AsyncConnectionPool

from benchmarks.business import async_bodies
from benchmarks.contender import AsyncContender


@worker()
class Noop:
    async def process(self, job: Any) -> None:
        await async_bodies.noop(job.args["number"])


@worker()
class Insert:
    async def process(self, job: Any) -> None:
        await async_bodies.insert(job.args["number"])


@worker()
class InsertTwice:
    async def process(self, job: Any) -> None:
        await async_bodies.insert_twice(job.args["number"])


WORKERS: dict[str, Any] = {"noop": Noop, "insert": Insert, "insert_twice": InsertTwice}


class ThisOban(AsyncContender):
    def __init__(self) -> None:
        super().__init__()
        self._pool = AsyncConnectionPool(kwargs={"autocommit": True}, min_size=1, max_size=1, open=False)
        self.wait_for(self._pool.open())
        self._oban = Oban(pool=self._pool)

    def prepare(self) -> None:
        self.wait_for(install(self._pool))

    def schedule(self, body: str, job: int) -> float:
        return self.wait_for(self._schedule(body, job))

    async def _schedule(self, body: str, job: int) -> float:
        async with self._pool.connection() as connection:
            async with connection.transaction():
                await connection.execute(
                    "INSERT INTO business_order (number, customer) VALUES (%s, %s)", [job, "Ada Lovelace"]
                )
                await self._oban.enqueue(WORKERS[body].new({"number": job}), conn=connection)
            return time.time()

    def schedule_many(self, body: str, jobs: Sequence[int]) -> None:
        self.wait_for(self._oban.enqueue_many([WORKERS[body].new({"number": job}) for job in jobs]))

    def schedule_at(self, body: str, job: int, when: datetime) -> None:
        self.wait_for(self._oban.enqueue(WORKERS[body].new({"number": job}, scheduled_at=when)))

    def unfinished(self) -> int:
        return self.wait_for(self._count())

    async def _count(self) -> int:
        query = "SELECT count(*) FROM oban_jobs WHERE state IN ('available', 'scheduled', 'executing', 'retryable')"
        async with self._pool.connection() as connection:
            (row,) = await (await connection.execute(query)).fetchall()
        return int(row[0])


contender = ThisOban
