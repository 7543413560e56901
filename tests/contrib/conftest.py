from tests.executor.budgets.conftest import time_begins_when_told

__all__ = ["time_begins_when_told"]
