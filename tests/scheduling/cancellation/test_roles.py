"""A cancel by a role that may not signal the executors' sessions waits, as it does on other databases."""

import pytest
from django.db import connection
from django.db.utils import ConnectionHandler

from django_scheduler import ctx
from django_scheduler.databases.postgresql.interruption import EXECUTING
from django_scheduler.models import State
from tests.functions import write
from tests.support.records import record

pytestmark = pytest.mark.only_on("postgresql")


@pytest.fixture
def new_role(transactional_db):
    """Makes a role that may use all tables, a member of these roles; its name."""
    names: list[str] = []

    def new(*member_of: str) -> str:
        name = f"{connection.settings_dict['NAME']}_role_{len(names)}"
        names.append(name)
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
            cursor.execute(f"GRANT USAGE ON SCHEMA public TO {name}")
            cursor.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}")
            for other in member_of:
                cursor.execute(f"GRANT {other} TO {name}")
        return name

    yield new
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"DROP OWNED BY {name}")
            cursor.execute(f"DROP ROLE {name}")


@pytest.fixture
def executing(transactional_db):
    """Has a session of this role execute a function, as far as others can see."""
    connections = []

    def execute(function_id, role):
        settings = connection.settings_dict
        if role is not None:
            settings = {**settings, "USER": role, "PASSWORD": "secret"}
        session = ConnectionHandler({"default": settings})["default"]
        connections.append(session)
        session.set_autocommit(False)
        with session.cursor() as cursor:
            cursor.execute("SELECT set_config('application_name', %s, true)", [EXECUTING])
            cursor.execute(
                "SELECT 1 FROM django_scheduler_scheduledfunction WHERE id = %s FOR NO KEY UPDATE", [function_id]
            )
            cursor.execute("SELECT pg_current_xact_id()")  # as what a body writes
        return session

    yield execute
    for session in connections:
        session.close()


@pytest.mark.parametrize("executors", ["a superuser", "another role"])
@pytest.mark.parametrize("members", [(), ("pg_signal_backend",)])
def test_a_cancel_interrupts_whom_its_role_may_and_waits_for_others(executors, members, new_role, executing, session):
    function_id = ctx.scheduler.run_after(0, write, label="never")
    session.execute(f"SET ROLE {new_role(*members)}")
    executor = executing(function_id, None if executors == "a superuser" else new_role())
    cancel = session.begin(ctx.scheduler.cancel, function_id)
    if executors == "a superuser" or not members:
        session.wait_until_it_has_looked_for_somebody_to_interrupt()
        executor.rollback()
    cancel.result(timeout=20)
    session.execute("RESET ROLE")
    assert record(function_id).state == State.CANCELED
