from tests.executor.conftest import growing_groups, tasks

__all__ = ["growing_groups", "tasks"]
