"""A floor: what the database and the driver can do, without Django."""

# /// script
# dependencies = ["psycopg[binary]"]
# [tool.benchmark]
# databases = ["postgresql"]
# worker = '''python -c "from benchmarks.contenders.psycopg_floor import drain; drain()"'''
# floor = true
# remark = "As the ORM floor, in plain SQL."
# ///

import time
from collections.abc import Sequence

import psycopg

from benchmarks import journal
from benchmarks.contender import Contender

AT_A_TIME = 100

CREATE = """
CREATE TABLE job (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL, number bigint NOT NULL,
    done boolean NOT NULL DEFAULT false
);
CREATE INDEX job_pending ON job (id) WHERE NOT done
"""
INSERT = "INSERT INTO job (body, number) VALUES (%s, %s)"
CLAIM = "SELECT id, body, number FROM job WHERE NOT done ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED"


class PsycopgFloor(Contender):
    def __init__(self) -> None:
        self._connection = psycopg.connect(autocommit=True)

    def prepare(self) -> None:
        self._connection.execute(CREATE)

    def schedule(self, body: str, job: int) -> float:
        with self._connection.transaction():
            self._connection.execute(
                "INSERT INTO business_order (number, customer) VALUES (%s, %s)", [job, "Ada Lovelace"]
            )
            self._connection.execute(INSERT, [body, job])
        return time.time()

    def schedule_many(self, body: str, jobs: Sequence[int]) -> None:
        with self._connection.cursor() as cursor, cursor.copy("COPY job (body, number) FROM STDIN") as copy:
            for job in jobs:
                copy.write_row((body, job))

    def unfinished(self) -> int:
        (count,) = self._connection.execute("SELECT count(*) FROM job WHERE NOT done").fetchone() or (0,)
        return int(count)


def drain() -> None:
    """Execute what there is, and end."""
    with psycopg.connect(autocommit=True) as connection:
        while True:
            with connection.transaction():
                jobs = connection.execute(CLAIM, [AT_A_TIME]).fetchall()
                for _, body, number in jobs:
                    journal.record(number)
                    if body == "insert":
                        connection.execute("INSERT INTO effect (job) VALUES (%s)", [number])
                connection.execute("UPDATE job SET done = true WHERE id = ANY(%s)", [[job[0] for job in jobs]])
            if not jobs:
                return


contender = PsycopgFloor
