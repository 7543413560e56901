"""What the tests of the public API share."""

import pytest

from django_scheduler.functions import registry


@pytest.fixture(autouse=True)
def _functions_of_a_test_end_with_it(monkeypatch):
    """A function that is decorated within a test is registered as long as the test runs."""
    monkeypatch.setattr(registry, "_functions", {function.name: function for function in registry})
