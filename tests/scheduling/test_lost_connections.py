"""A mutation that loses its connection is repeated, unless that was while it committed."""

from contextlib import suppress

import pytest
from django.db import DatabaseError, OperationalError, connection

from django_scheduler import Context, ctx, mutation
from django_scheduler.databases import database_for
from tests.models import Entry
from tests.support.sessions import lose_this_session

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("retry_at_once")]


@pytest.mark.only_on("postgresql", "mysql")
@pytest.mark.parametrize("swallowed", [True, False])
def test_a_mutation_that_loses_its_connection_before_the_commit_is_repeated_on_a_new_one(swallowed):
    attempts = []

    @mutation
    def store(ctx: Context) -> None:
        attempts.append(1)
        Entry.objects.create(label="a")
        if len(attempts) == 1:
            with suppress(DatabaseError):
                lose_this_session()
            if not swallowed:
                Entry.objects.create(label="b")

    ctx.run_mutation(store)
    assert len(attempts) == 2
    assert [entry.label for entry in Entry.objects.all()] == ["a"]


@pytest.fixture
def commit_loses_its_connection():
    """The server ends the session while it commits an entry; the answer to COMMIT never comes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION end_session() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
        )
        cursor.execute(
            "CREATE CONSTRAINT TRIGGER end_session AFTER INSERT ON tests_entry DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION end_session()"
        )
    yield
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION end_session CASCADE")


@pytest.mark.only_on("postgresql")
@pytest.mark.usefixtures("commit_loses_its_connection")
def test_a_commit_of_which_nobody_knows_whether_it_took_effect_is_not_repeated():
    attempts = []

    @mutation
    def store(ctx: Context) -> None:
        attempts.append(1)
        Entry.objects.create(label="a")

    with pytest.raises(OperationalError) as caught:
        ctx.run_mutation(store)
    assert database_for("default").is_lost(caught.value)
    assert len(attempts) == 1
