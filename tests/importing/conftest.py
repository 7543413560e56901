import json
import subprocess
import sys
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import pytest

from tests.docs.blocks import ROOT

#: What has to be installed for what the site tells.
PACKAGES = {"celery": "celery", "django-celery-beat": "django_celery_beat", "django-q2": "django_q"}


class Site:
    """Is what a site that comes from other schedulers has seen, asked for once and in a process of its own."""

    @cached_property
    def _process(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "tests.importing.site"],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            timeout=50,
        )

    def seen(self, what: str, source: str) -> Any:
        if not find_spec(PACKAGES[source]):
            pytest.skip(f"{source} is not installed")
        assert self._process.returncode == 0, self._process.stderr
        return json.loads(self._process.stdout)[what]


@pytest.fixture(scope="session")
def site() -> Site:
    return Site()
