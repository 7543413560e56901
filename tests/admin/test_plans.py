"""No query of a page reads the whole table: PostgreSQL has an index for each, and is told to prefer any to that."""

import pytest
from django.db import connection

from tests.admin import limited_functions  # noqa: F401  (declares the limits)
from tests.admin.many_functions import PAGES, load, scans_of_the_table

pytestmark = [pytest.mark.django_db, pytest.mark.only_on("postgresql")]


def test_no_page_reads_the_whole_table(admin_client, count_queries):
    load(5_000)
    scans = {}
    for name, path in PAGES.items():
        with count_queries() as queries:
            response = admin_client.get("/admin/django_scheduler/" + path.replace("00000", "000"))
        assert response.status_code == 200, name
        assert len(queries.statements) <= 15, (name, queries.statements)
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        if found := scans_of_the_table(queries.statements):
            scans[name] = found
    assert scans == {}
