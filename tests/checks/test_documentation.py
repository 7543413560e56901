"""Every check has an id of its own, and a section in ``docs/checks.md``."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CHECKS = "".join(file.read_text() for file in (ROOT / "django_scheduler/checks").glob("*.py"))
PAGE = (ROOT / "docs/checks.md").read_text()


def test_every_check_is_documented_and_nothing_else_is():
    registered = set(re.findall(r'id="django_scheduler\.([EW]0\d{2})"', CHECKS))
    documented = Counter(re.findall(r"^### ([EW]0\d{2}): ", PAGE, re.MULTILINE))
    assert len(registered) >= 30
    assert documented == Counter(registered)


def test_no_id_is_used_by_two_parts():
    package = ROOT / "django_scheduler"
    ids_of_parts = [
        set(re.findall(r"django_scheduler\.[EW]\d{3}\b", file.read_text())) for file in package.rglob("*.py")
    ]
    uses = Counter(check_id for ids in ids_of_parts for check_id in ids)
    assert uses.pop("django_scheduler.E001") == 2  # the setting's own module names it
    assert set(uses.values()) == {1}
