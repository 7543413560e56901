"""The id of a scheduled function is never that of another one, also if it was given in a transaction that is gone."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections, transaction
from freezegun import freeze_time

from django_scheduler import ctx
from django_scheduler.databases import database_for
from django_scheduler.errors import UnknownScheduledFunction
from django_scheduler.executor.session import executor_session, tidy_connections
from django_scheduler.models import ScheduledFunction
from tests.functions import write
from tests.support import forked_processes
from tests.support.sessions import Session

pytestmark = pytest.mark.django_db(transaction=True)

#: The largest whole number that every JSON parser keeps.
LARGEST_IN_JSON = 2**53 - 1


def schedule(number: int = 1) -> list[int]:
    return list(ctx.scheduler.run_after_many(60_000, write, [{"label": "later"}] * number))


def rolled_back(number: int = 1) -> list[int]:
    with transaction.atomic():
        ids = schedule(number)
        transaction.set_rollback(True)
    return ids


def test_an_id_that_was_rolled_back_cancels_nobody_elses_function():
    (old,) = rolled_back()
    (new,) = schedule()
    with pytest.raises(UnknownScheduledFunction):
        ctx.scheduler.cancel(old)
    assert ScheduledFunction.objects.get(pk=new).state == "pending"


@pytest.mark.parametrize(("number", "times"), [(1, 10), (3, 10), (1_000, 2)])
def test_no_id_comes_twice(number, times):
    seen: list[int] = []
    for _ in range(times):
        seen += rolled_back(number)
        with transaction.atomic():
            try:
                with transaction.atomic():
                    seen += schedule(number)
                    raise ZeroDivisionError
            except ZeroDivisionError:
                pass
            seen += schedule(number)
    assert len(set(seen)) == len(seen)
    assert seen == sorted(seen)
    assert all(0 < each <= LARGEST_IN_JSON for each in seen)


def test_no_id_comes_twice_when_the_clock_stands_still_or_is_set_back():
    seen = rolled_back()
    for step in (0, 0, -3600, 10, -7 * 24 * 3600):
        with freeze_time(datetime(2027, 1, 1, tzinfo=UTC)) as clock:
            clock.tick(timedelta(seconds=step))
            seen += [*rolled_back(5), *schedule(5)]
    assert len(set(seen)) == len(seen)
    assert seen == sorted(seen)


def test_ids_of_deleted_functions_are_not_given_out_again():
    (old,) = schedule()
    ScheduledFunction.objects.all().delete()
    (new,) = schedule()
    assert new > old


def test_who_waits_for_the_lock_gets_an_id_of_its_own(new_session: Callable[[], Session]):
    first, second = new_session(), new_session()
    first.open_transaction()
    old = first.do(schedule, 1_000)
    waiting = second.begin(schedule)
    first.roll_back()
    assert not {*waiting.result(20)} & {*old}


def test_no_id_comes_twice_in_another_process(child_environment, tmp_path):
    """It has not seen the id that was rolled back."""
    program = (
        "import django; django.setup()\n"
        "from django.db import transaction\n"
        "from django_scheduler import ctx\n"
        "for end in (True, False) * 20:\n"
        "    with transaction.atomic():\n"
        "        print(ctx.scheduler.run_after(60_000, 'tests:write', label='later'))\n"
        "        transaction.set_rollback(end)\n"
    )
    printed = [tmp_path / "one", tmp_path / "another"]
    processes = []
    for path in printed:
        with path.open("wb") as output:
            processes.append(forked_processes.start(["-c", program], child_environment, stdout=output))
    assert [process.wait(50) for process in processes] == [0, 0]
    seen = [int(line) for path in printed for line in path.read_text().split()]
    assert len(seen) == 80
    assert len(set(seen)) == 80


def test_an_id_that_another_process_rolled_back_is_not_given_out_after_the_clock_was_set_back(child_environment):
    with freeze_time(datetime(2127, 1, 1, tzinfo=UTC)):
        schedule()
    program = (
        "import django; django.setup()\n"
        "from django.db import transaction\n"
        "from django_scheduler import ctx\n"
        "with transaction.atomic():\n"
        "    print(ctx.scheduler.run_after(60_000, 'tests:write', label='later'))\n"
        "    transaction.set_rollback(True)\n"
    )
    process = forked_processes.run(["-c", program], child_environment)
    assert schedule() != [int(process.stdout)]


def test_no_id_comes_twice_in_many_threads():
    seen: list[int] = []

    def schedule_and_roll_back() -> None:
        try:
            for _ in range(20):
                seen.extend([*rolled_back(2), *schedule()])
        finally:
            connections.close_all()

    threads = [threading.Thread(target=schedule_and_roll_back) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == len(set(seen)) == 240


@pytest.mark.only_on("sqlite")
def test_function_may_schedule_while_it_reads_in_a_thread_that_has_scheduled_before():
    """The function of SQL that makes ids cannot be registered anew while a statement is open."""
    schedule()
    database = database_for("default")
    with executor_session(database):
        schedule()
        tidy_connections("default")
        for _ in ScheduledFunction.objects.iterator(chunk_size=1):
            schedule()
            break
        connection.close()


def test_a_new_connection_goes_on(execute_due):
    (old,) = rolled_back()
    connection.close()
    (new,) = schedule()
    assert new > old
