"""Database routers that take the record away from what it records."""

from contextlib import suppress

import pytest
from django.db import connections

from tests.checks.messages import ids, the_message

OTHER = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}


@pytest.fixture
def other_database(monkeypatch):
    def add(engine: str = "django.db.backends.sqlite3") -> None:
        configured = connections.configure_settings({"default": {}, "other": {**OTHER, "ENGINE": engine}})
        monkeypatch.setitem(connections.settings, "other", configured["other"])

    yield add
    with suppress(AttributeError):  # nobody has asked for it
        del connections["other"]


def router(**answers):
    """A router that answers like this for the apps, or the models, that are named."""

    class Router:
        def db_for_write(self, model, **hints):
            return answers.get(model.__name__) or answers.get(model._meta.app_label)

        def allow_migrate(self, db, app_label, **hints):
            return answers.get(f"{app_label}_may_be_in_{db}")

    return [Router()]


def test_an_unknown_database_is_an_error(settings):
    settings.DATABASE_ROUTERS = router(django_scheduler="nowhere")

    assert "E007" in ids()
    assert "'nowhere'" in the_message("E007").msg


def test_a_database_where_its_table_is_never_made_is_an_error(settings, other_database):
    other_database()
    settings.DATABASE_ROUTERS = router(django_scheduler="other", django_scheduler_may_be_in_other=False)

    assert "'other'" in the_message("E008").msg


def test_models_spread_over_databases_are_an_error(settings, other_database):
    other_database()
    settings.DATABASE_ROUTERS = router(Executor="other")

    assert "Executor in 'other'" in the_message("E009").msg


def test_a_database_of_an_unknown_kind_is_an_error(settings, other_database):
    other_database("django.db.backends.dummy")
    settings.DATABASE_ROUTERS = router(django_scheduler="other")

    assert "unknown" in the_message("E010").msg


def test_mutations_whose_models_live_elsewhere_are_a_warning(settings, other_database):
    other_database()
    settings.DATABASE_ROUTERS = router(Order="other")

    message = the_message("W004")
    assert "orders:create_order" in message.msg
    assert "Order is not in the database 'default'" in message.msg
    assert "orders:send_confirmation" not in message.msg  # an action


def test_everything_in_another_database_together_is_fine(settings, other_database):
    other_database()
    settings.DATABASE_ROUTERS = router(django_scheduler="other", orders="other", tests="other")

    assert ids() == set()


def test_a_router_that_has_nothing_to_say_is_fine(settings):
    settings.DATABASE_ROUTERS = router()
    assert ids() == set()
