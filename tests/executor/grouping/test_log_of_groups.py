"""The functions of a group are logged together, and each as if it had been alone."""

import logging
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from django_scheduler import ctx
from django_scheduler.models import ScheduledFunctionId
from tests.executor.grouping import functions
from tests.support.in_process import execute_with_one_worker

LOGGER = "django_scheduler.executor"


def enter_seven() -> list[ScheduledFunctionId]:
    return [ctx.scheduler.run_after(0, functions.enter, label=label) for label in "abcdefg"]


def successes(records: list[logging.LogRecord]) -> list[dict[str, Any]]:
    return [vars(record) for record in records if getattr(record, "state", "") == "success"]


def test_each_function_of_a_group_has_a_record_of_its_own(execute_as_group, caplog):
    caplog.set_level(logging.INFO, LOGGER)
    ids = enter_seven()

    execute_as_group(ids[1:3])

    logged = successes(caplog.records)
    assert [record["function_id"] for record in logged] == ids
    assert len({record["duration"] for record in logged}) == len(ids)
    assert all(f"{record['function_id']}: success, took" in record["message"] for record in logged)
    assert all(record["attempt"] == 1 and record["queue"] == "default" for record in logged)
    assert all(record["threadName"] and record["pathname"].endswith("announcing.py") for record in logged)


@pytest.fixture
def numbered_records() -> Iterator[None]:
    """Have a site's own factory number every record that is made."""
    numbers, make = count(1), logging.getLogRecordFactory()

    def make_numbered(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        record.number = next(numbers)
        return record

    logging.setLogRecordFactory(make_numbered)
    yield
    logging.setLogRecordFactory(make)


def test_a_sites_own_factory_makes_every_record_of_a_group(execute_as_group, caplog, numbered_records):
    caplog.set_level(logging.INFO, LOGGER)
    ids = enter_seven()

    execute_as_group(ids[1:3])

    numbers = [record["number"] for record in successes(caplog.records)]
    assert len(set(numbers)) == len(ids)


def test_a_handler_that_fails_for_one_function_is_asked_to_log_the_others(transactional_db, capsys):
    ids = enter_seven()
    logged = []

    class Choosy(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if getattr(record, "function_id", None) == ids[1]:
                raise SystemExit("not this one")
            logged.append(getattr(record, "function_id", None))

    handler = Choosy(logging.INFO)
    logger = logging.getLogger(LOGGER)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        execute_with_one_worker()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)

    assert [each for each in logged if each in ids] == [ids[0], *ids[2:]]
    assert "SystemExit: not this one" in capsys.readouterr().err
