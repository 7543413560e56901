"""What the functions do, for the contenders that run on asyncio: plain SQL, because the ORM would need threads."""

import asyncio

from psycopg_pool import AsyncConnectionPool

from benchmarks import journal
from benchmarks.business.work import WORK

_pools: list[AsyncConnectionPool] = []


async def noop(job: int) -> None:
    journal.record(job)


async def insert(job: int) -> None:
    journal.record(job)
    await _insert(job)


async def insert_twice(job: int) -> None:
    """What is to be killed in the middle."""
    await insert(job)
    await asyncio.sleep(WORK)
    await _insert(job)


async def _insert(job: int) -> None:
    async with (await _pool()).connection() as connection:
        await connection.execute("INSERT INTO effect (job) VALUES (%s)", [job])


async def _pool() -> AsyncConnectionPool:
    if not _pools:
        pool = AsyncConnectionPool(kwargs={"autocommit": True}, min_size=4, max_size=10, open=False)
        _pools.append(pool)
        await pool.open()
    return _pools[0]
