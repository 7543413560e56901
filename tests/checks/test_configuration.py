"""``DATABASES``, judged without a connection: none of these tests may use the database."""

import pytest
from django.db import connection

from tests.checks.messages import ids, the_message

pytestmark = pytest.mark.once


@pytest.fixture
def configured(monkeypatch):
    """The database's own settings, with these changed."""

    def change(**changes):
        for name, value in changes.items():
            monkeypatch.setitem(connection.settings_dict, name, value)

    return change


@pytest.fixture
def options(configured):
    return lambda **changes: configured(OPTIONS={**connection.settings_dict["OPTIONS"], **changes})


def test_the_shops_configuration_is_well(configured):
    configured(NAME="shop.sqlite3")
    assert ids(deploy=True) == set()


def test_no_autocommit_is_an_error(configured):
    configured(AUTOCOMMIT=False)
    assert the_message("E014").hint


def test_a_time_zone_is_fine(configured):
    configured(TIME_ZONE="Europe/Berlin")
    assert ids() == set()


@pytest.mark.parametrize("pool", [True, {"min_size": 2}, {"max_size": 13}, {"min_size": 8}])
def test_a_pool_that_is_too_small_is_a_warning(options, pool):
    options(pool=pool)
    assert the_message("W008").hint


@pytest.mark.parametrize("pool", [None, False, {"max_size": 14}, {"min_size": 20}])
def test_no_pool_and_a_large_one_are_fine(options, pool):
    options(pool=pool)
    assert ids() == set()


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("mode", [None, "DEFERRED"])
def test_sqlite_that_takes_its_lock_late_is_a_warning_in_production(options, mode):
    options(transaction_mode=mode)
    assert the_message("W006", deploy=True).hint
    assert ids() == set()


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("name", [":memory:", "file:shared?mode=memory&cache=shared"])
def test_a_database_in_memory_is_a_warning_in_production(configured, name):
    configured(NAME=name)
    assert the_message("W007", deploy=True).hint
    assert ids() == set()


@pytest.mark.parametrize("age", [60, None])
def test_connections_that_are_kept_unchecked_are_a_warning_in_production(configured, age):
    configured(CONN_MAX_AGE=age, CONN_HEALTH_CHECKS=False)
    assert the_message("W009", deploy=True).hint
    configured(CONN_HEALTH_CHECKS=True)
    assert "W009" not in ids(deploy=True)
