import pytest
from django.db import connection

from tests.databases.proxy import proxy_before
from tests.databases.servers import OwnDatabase, connected, own_mariadb, own_postgresql


@pytest.fixture(scope="session")
def own_server(django_db_blocker):
    """Yield a server that a test may restart: of the kind that is being tested."""
    with (
        django_db_blocker.unblock(),
        {"postgresql": own_postgresql, "mysql": own_mariadb}[connection.vendor]() as server,
    ):
        yield server


@pytest.fixture
def own_database(own_server, child_environment, django_db_blocker, tmp_path):
    """Yield the tables in that server, and executors that work on them."""
    with django_db_blocker.unblock(), connected(own_server.url):
        database = OwnDatabase(own_server, child_environment, tmp_path)
        try:
            yield database
        finally:
            database.clear()


@pytest.fixture
def proxy(own_database):
    """Yield a proxy through which executors reach that server by TCP."""
    with proxy_before(own_database.server.url) as proxy:
        yield proxy
