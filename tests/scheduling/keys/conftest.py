from tests.executor.conftest import groups, growing_groups
from tests.scheduling.cancellation.conftest import start_executor

__all__ = ["groups", "growing_groups", "start_executor"]
