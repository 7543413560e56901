"""pgqueuer, on asyncpg."""

# /// script
# dependencies = ["pgqueuer[asyncpg]", "typer<0.24"]
# [tool.benchmark]
# databases = ["postgresql"]
# worker = "pgq run --batch-size 100 benchmarks.contenders.pgqueuer:main"
# remark = "`--batch-size 100`, ten times its default; it needs an older typer. Bodies are SQL through asyncpg."
# [tool.benchmark.future]
# table = "pgqueuer"
# due = "execute_after"
# ///

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from benchmarks import journal
from benchmarks.business.work import WORK
from benchmarks.contender import AsyncContender


class ThisPgQueuer(AsyncContender):
    def __init__(self) -> None:
        super().__init__()
        self._connection = self.wait_for(asyncpg.connect())
        self._queries = Queries(AsyncpgDriver(self._connection))

    def prepare(self) -> None:
        self.wait_for(self._queries.install())

    def schedule(self, body: str, job: int) -> float:
        return self.wait_for(self._schedule(body, job))

    async def _schedule(self, body: str, job: int) -> float:
        async with self._connection.transaction():
            await self._connection.execute(
                "INSERT INTO business_order (number, customer) VALUES ($1, $2)", job, "Ada Lovelace"
            )
            await self._queries.enqueue(body, b"%d" % job)
        return time.time()

    def schedule_many(self, body: str, jobs: Sequence[int]) -> None:
        payloads: list[bytes | None] = [b"%d" % job for job in jobs]
        self.wait_for(self._queries.enqueue([body] * len(jobs), payloads, [0] * len(jobs)))

    def schedule_at(self, body: str, job: int, when: datetime) -> None:
        self.wait_for(self._queries.enqueue(body, b"%d" % job, execute_after=when - datetime.now(UTC)))

    def unfinished(self) -> int:
        return int(self.wait_for(self._connection.fetchval("SELECT count(*) FROM pgqueuer")))


@asynccontextmanager
async def main() -> AsyncIterator[PgQueuer]:
    """What the worker runs."""
    queuer = PgQueuer(AsyncpgDriver(await asyncpg.connect()))
    pool = await asyncpg.create_pool(min_size=4, max_size=10)

    @queuer.entrypoint("noop")
    async def noop(job: Job) -> None:
        journal.record(int(job.payload or b""))

    @queuer.entrypoint("insert")
    async def insert(job: Job) -> None:
        number = int(job.payload or b"")
        journal.record(number)
        await pool.execute("INSERT INTO effect (job) VALUES ($1)", number)

    @queuer.entrypoint("insert_twice")
    async def insert_twice(job: Job) -> None:
        await insert(job)
        await asyncio.sleep(WORK)
        await pool.execute("INSERT INTO effect (job) VALUES ($1)", int(job.payload or b""))

    yield queuer


contender = ThisPgQueuer
