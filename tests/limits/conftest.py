from tests.executor.conftest import growing_groups

__all__ = ["growing_groups"]
