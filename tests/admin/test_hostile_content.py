"""Whatever is in names, arguments and errors: it is shown inert, and of bounded length."""

import re

import pytest

from django_scheduler.models import State
from tests.admin.conftest import DETAIL, LIST, OVERVIEW, page, record

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script>"
REVERSED = "abc\u202efdp.exe"
MEGABYTE = "x" * 1_000_000


def hostile():
    return record(
        State.FAILED,
        name=f"tests:{SCRIPT}{REVERSED}",
        queue=f'"{SCRIPT}',
        executor=SCRIPT,
        args={SCRIPT: SCRIPT, REVERSED: REVERSED, "large": {"$int": hex(2**70)}, "nan": {"$float": "nan"}},
        error=f"{SCRIPT}: {REVERSED}\n{SCRIPT}",
        traceback=SCRIPT + REVERSED,
    )


def assert_inert(text: str) -> None:
    assert "<script>alert" not in text
    # The value of a field is what it is, and is sent as that.
    assert "\u202e" not in re.sub('value="[^"]*"', "", text)
    assert "&lt;script&gt;" in text


@pytest.mark.once
def test_in_the_list(admin_client):
    hostile()
    assert_inert(page(admin_client, LIST))
    assert_inert(page(admin_client, LIST, function=f"tests:{SCRIPT}{REVERSED}"))


@pytest.mark.once
def test_on_the_detail_page(admin_client):
    text = page(admin_client, DETAIL, hostile().pk)
    # What can be copied is the stored JSON, unchanged but for being escaped.
    assert_inert(re.sub("<template.*?</template>", "", text, flags=re.DOTALL))
    assert "<script>alert" not in text
    assert str(2**70) in text


@pytest.mark.once
def test_on_the_overview(admin_client):
    hostile()
    record(State.PENDING, queue=f'"{SCRIPT}')
    assert_inert(page(admin_client, OVERVIEW))


@pytest.mark.once
def test_in_a_search(admin_client):
    text = page(admin_client, LIST, q=f'"><{SCRIPT}', state="<b>")
    assert "<script>alert" not in text
    assert "<b>" not in text


def test_large_values_make_no_large_page(admin_client):
    function = record(State.FAILED, args={"text": MEGABYTE}, error=MEGABYTE[:900_000], traceback=MEGABYTE[:900_000])
    assert len(page(admin_client, LIST)) < 100_000
    assert len(page(admin_client, OVERVIEW)) < 100_000
    text = page(admin_client, DETAIL, function.pk)
    assert len(text) < 300_000
    assert "(+996,000)" in text


@pytest.mark.once
@pytest.mark.parametrize(
    "value",
    [
        {"$model": []}, {"$unknown": 1}, {"$enum": "x"}, {"$timedelta": [10**9, 0, 0]}, {"$datetime": [1]},
        {"$int": "0x" + "f" * 5000}, {"$int": "zz"}, [[[[[]]]]], {"a": None, "b": True}, -0.5, {"$dict": [[1, 2]]},
    ],
)  # fmt: skip
def test_every_stored_value_can_be_shown(admin_client, value):
    function = record(args={"value": value}, result=value)
    page(admin_client, LIST)
    page(admin_client, DETAIL, function.pk)
