"""How long the pages of the dashboard take with a million functions on record.

Run it with ``DATABASE_URL=postgres://... python -m benchmarks.dashboard [ROWS] [--verbose]``. It makes a database of
its own, and drops it at the end. For each page: the median time on the server of five requests, how much of that is the
slowest query, how many queries there are, and whether one of them reads the whole table.
"""

import os
import statistics
import sys
import time

import django

REQUESTS = 5

CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SELECT current_setting", "SELECT set_config")


def main(rows: int, *, verbose: bool) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()

    from django.contrib.auth import get_user_model
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext, setup_test_environment, teardown_test_environment

    from tests.admin.many_functions import PAGES, load, scans_of_the_table

    setup_test_environment()
    connection.settings_dict["TEST"]["NAME"] = f"django_scheduler_dashboard_{os.getpid()}"
    name = connection.creation.create_test_db(verbosity=0)
    try:
        began = time.perf_counter()
        load(rows)
        print(f"{rows:,} functions loaded in {time.perf_counter() - began:.0f} s")
        client = Client()
        client.force_login(get_user_model().objects.create_superuser("ada"))
        print(f"{'page':<34} {'ms':>6} {'slowest':>8} {'queries':>8}  reads the whole table")
        for page, path in PAGES.items():
            times = []
            for _ in range(REQUESTS):
                began = time.perf_counter()
                response = client.get(f"/admin/django_scheduler/{path}")
                times.append(time.perf_counter() - began)
                assert response.status_code == 200, (page, response.status_code)
            with CaptureQueriesContext(connection) as queries:
                client.get(f"/admin/django_scheduler/{path}")
            statements = [query for query in queries if not query["sql"].startswith(CONTROL)]
            slowest = max(float(query["time"]) for query in statements) * 1000
            scans = scans_of_the_table(query["sql"] for query in statements)
            late = " LATE" if b"in time" in response.content else ""
            median = statistics.median(times) * 1000
            print(
                f"{page:<34} {median:6.0f} {slowest:8.0f} {len(statements):8}  {len(scans) or 'no'}{late}", flush=True
            )
            if verbose:
                print(*scans, *statements, sep="\n")
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
        teardown_test_environment()


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--verbose"]
    main(int(arguments[0]) if arguments else 1_000_000, verbose="--verbose" in sys.argv)
