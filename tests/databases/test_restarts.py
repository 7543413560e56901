"""The database server is restarted: work resumes by itself, and nothing is lost or done twice."""

import pytest
from django.db import DatabaseError, InterfaceError
from django.db.models import Count

from django_scheduler import ctx
from django_scheduler.models import ScheduledFunction, State
from tests.databases.servers import ALIAS
from tests.models import Entry
from tests.processes import functions
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.only_on("postgresql", "mysql"), pytest.mark.timeout(180)]


def test_work_resumes_after_the_return_of_the_server(own_database):
    executor = own_database.start_executor(HEARTBEAT_INTERVAL=0.5)
    own_database.assert_it_works()
    for _ in range(2):
        own_database.server.stop()
        executor.wait_until_logged("could not look for due functions")
        own_database.server.start()
        reconnect()
        own_database.assert_it_works()
    assert executor.stop() == 0


def test_restart_under_load_loses_nothing_and_doubles_nothing(own_database):
    mutations = ctx.scheduler.using(ALIAS).run_after_many(0, functions.work, [{"label": "work"}] * 300)
    actions = ctx.scheduler.using(ALIAS).run_after_many(0, functions.toil, [{"label": "toil"}] * 40)
    executor = own_database.start_executor("--concurrency=4", BACKOFF_INITIAL=0.1)
    wait_until(lambda: Entry.objects.using(ALIAS).count() > 30, "some of the work was done")

    own_database.server.stop()
    own_database.server.start()
    reconnect()

    rows = ScheduledFunction.objects.using(ALIAS)
    wait_until(lambda: not rows.filter(completed_time=None).exists(), "all of it was decided", timeout=60)
    assert rows.filter(pk__in=mutations, state=State.SUCCESS).count() == len(mutations)
    times = Entry.objects.using(ALIAS).values("function_id").annotate(times=Count("pk"))
    assert not times.filter(times__gt=1).exists()
    written = set(Entry.objects.using(ALIAS).values_list("function_id", flat=True))
    assert set(mutations) <= written
    # An action's own statements fail with the server; that is its business. What succeeded, was done.
    succeeded = rows.filter(pk__in=actions, state=State.SUCCESS)
    assert set(succeeded.values_list("pk", flat=True)) <= written
    assert rows.filter(pk__in=actions, state=State.FAILED, failure="error").count() + succeeded.count() == len(actions)
    assert executor.stop() == 0


def reconnect():
    """This process has noticed the restart, too."""
    from django.db import connections

    connections[ALIAS].close()

    def answers():
        try:
            return Entry.objects.using(ALIAS).exists() or True
        except (DatabaseError, InterfaceError):
            connections[ALIAS].close()
            return False

    wait_until(answers, "the server answered")
