"""Behind PgBouncer: in transaction mode nobody can listen, so the executor polls, and says so once."""

import pytest

from tests.support.pgbouncer import pgbouncer_before

pytestmark = pytest.mark.only_on("postgresql")


def test_executor_behind_a_pool_in_transaction_mode_polls_and_says_so_once(own_database, proxy):
    with pgbouncer_before(proxy.url, pool_mode="transaction") as url:
        executor = own_database.start_executor(
            url=url, constants={"django_scheduler.executor.executor.RESTART_INTERVAL": 0.2}
        )
        executor.wait_until_logged("PgBouncer in transaction mode")
        for _ in range(3):
            own_database.assert_it_works()
        assert executor.stop() == 0
    assert executor.log.count("PgBouncer in transaction mode") == 1


def test_executor_behind_a_pool_in_session_mode_listens(own_database, proxy):
    with pgbouncer_before(proxy.url, pool_mode="session") as url:
        executor = own_database.start_executor(url=url, POLL_INTERVAL=3600)
        for _ in range(3):
            own_database.assert_it_works()
        assert executor.stop() == 0
    assert "PgBouncer" not in executor.log
