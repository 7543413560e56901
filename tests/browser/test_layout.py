"""What the pages look like: nothing is cut off at any width, and what is needed is at hand."""

import sqlite3
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from django_scheduler import crons, ctx, limits
from django_scheduler.admin import listing
from django_scheduler.crons.models import Cron, CronRun
from django_scheduler.models import ScheduledFunction, Slot, State
from tests.admin import limited_functions  # noqa: F401  (declares the limits)
from tests.admin.conftest import record
from tests.crons.functions import tick
from tests.functions import write
from tests.status.records import put_starts_on_record, put_waiting_on_record
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.only_on("sqlite"),
    pytest.mark.thorough,
    pytest.mark.timeout(120),
]

LIST = "/admin/django_scheduler/scheduledfunction/"
CRONS = "/admin/django_scheduler/cron/"

WIDTHS = [390, 768, 900, 1024, 1200, 1300, 1366, 1920]

ERROR = f'IntegrityError: duplicate key violates "{"x" * 160}" in a table\nDETAIL: {"y" * 200}'

#: What is wider than its place on the page, which nobody can follow.
CUT = """() => [...document.querySelectorAll('.ds .ds-scroll, .ds .results, .ds .ds-error-text, .ds .ds-act, html')]
    .filter((box) => box.scrollWidth > box.clientWidth + 1)
    .map((box) => `${box.className || box.nodeName} ${box.scrollWidth} > ${box.clientWidth}`)"""


def fill() -> dict[str, str]:
    """Put functions and crons on record, and return the pages that show them."""
    failed = [record(State.FAILED, name=f"tests:{'a_rather_long_name_' * 2}{n}", error=ERROR) for n in range(3)]
    ctx.scheduler.run_after_many(timedelta(hours=7, minutes=33), write, [{"label": f"tea {n}"} for n in range(40)])
    at_nine = crons.CronLine("0 9 * * mon-fri", timezone="America/Argentina/Buenos_Aires")
    cron = ctx.crons.register("a cron with a name of some length", at_nine, tick)
    now = timezone.now()
    hour = timedelta(hours=1)
    CronRun.objects.create(cron=cron, slot=now - 9 * hour, last_slot=now, slots=9, state="skipped", time=now)
    ScheduledFunction.objects.filter(pk=failed[1].pk).update(parent=failed[0].pk)
    run = CronRun.objects.create(cron=cron, slot=now, state="failed", time=now, error=ERROR, function_id=failed[0].pk)
    Cron.objects.filter(pk=cron.pk).update(last_run=run)
    return {
        "list": LIST,
        "failed": f"{LIST}?state=failed",
        "confirm": f"{LIST}?state=failed",
        "detail": f"{LIST}{failed[0].pk}/change/",
        "crons": CRONS,
        "cron": f"{CRONS}{cron.pk}/change/",
    }


def fill_limits() -> dict[str, str]:
    """Put what has limits on record, and return the pages that show it."""
    limit = f'tests:{"a_rather_long_name_" * 2} ["{"x" * 80}"]'
    holder = record(
        State.IN_PROGRESS, name=f"tests:{'a_rather_long_name_' * 2}", executor="a-host-of-some-length:4711:9f86d081"
    )
    Slot.objects.create(limit=limit, number=0, function=holder, attempt=1, executor=holder.executor)
    waiting = put_waiting_on_record("bank [7]", 700)
    Slot.objects.create(limit="bank [7]", number=0, function=holder, attempt=1, executor=holder.executor)
    limits.change("default", "bank", 1, reason="They have asked us not to call more often " * 4, changed_by="ada")
    next_to_begin = put_waiting_on_record("bank rate [7]", 700)
    put_starts_on_record("bank rate [7]", *[1] * 12)
    return {
        "limited": f"{LIST}?state=limited",
        "limits": "/admin/django_scheduler/overview/limits/",
        "why": f"{LIST}{waiting.pk}/change/",
        "when": f"{LIST}{next_to_begin.pk}/change/",
    }


def test_nothing_is_cut_off_at_any_width(page, settings):
    settings.LANGUAGE_CODE = "de"  # which has long words
    cut = {}
    for name, path in {**fill(), **fill_limits()}.items():
        page.goto(path)
        if name == "confirm":
            page.locator("td.ds-tick input").first.check()
            page.locator("button[value=run_again]").click()
            page.locator(".ds-confirm").wait_for()
            page.wait_for_load_state()  # a click does not wait for the style sheets of the page it leads to
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            if found := page.evaluate(CUT):
                cut[name, width] = found
    assert cut == {}


@pytest.mark.parametrize("width", [390, 1366])
def test_what_can_be_done_is_at_hand_while_one_scrolls(page, width):
    fill()
    page.set_viewport_size({"width": width, "height": 768})
    page.goto(LIST)
    for position in (0, 600):
        page.evaluate(f"scrollTo(0, {position})")
        for name in ("Run now…", "Cancel…"):
            box = page.get_by_role("button", name=name).bounding_box()
            assert 0 <= box["y"] <= 768 - box["height"], (position, name, box)
            assert 0 <= box["x"] <= width - box["width"], (position, name, box)


def test_the_keyboard_reaches_no_row_below_the_buttons(page):
    fill()
    page.set_viewport_size({"width": 1366, "height": 768})
    page.goto(LIST)
    page.locator("td.ds-tick input").first.focus()
    for _ in range(45):
        page.keyboard.press("Tab")
        hidden = page.evaluate(
            """() => {
                const focused = document.activeElement, bar = document.querySelector('.ds-act');
                if (bar.contains(focused) || !focused.closest('table')) return '';
                const isBelow = focused.getBoundingClientRect().bottom > bar.getBoundingClientRect().top;
                return isBelow ? focused.outerHTML : '';
            }"""
        )
        assert hidden == ""


def test_on_a_phone_the_first_result_is_seen_without_scrolling(page):
    fill()
    page.set_viewport_size({"width": 390, "height": 844})
    for path in (LIST, f"{LIST}?state=pending&kind=mutation", CRONS):
        page.goto(path)
        box = page.locator("#content tbody tr").first.bounding_box()
        assert box["y"] + box["height"] < 750, path


def test_everything_is_chosen_in_words_and_apart_from_the_buttons(page):
    fill()
    page.goto(LIST)
    everything = page.get_by_role("radio", name="all functions there are")
    ticked = page.locator("[data-all-ticked]")
    assert ticked.is_checked()
    everything.check()
    page.locator("td.ds-tick input").first.check()
    assert ticked.is_checked()
    page.get_by_role("radio", name="1 selected").wait_for()
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_text("1 function is selected.").wait_for()
    page.goto(f"{LIST}?state=pending")
    page.get_by_role("radio", name="all that match this filter").check()
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_text("40 functions match the filter.").wait_for()


def test_what_is_ticked_stays_when_the_database_is_late_for_once(page, monkeypatch):
    """Nothing that was shown goes away, and the page says that it is old."""
    fill()
    page.goto(LIST)
    page.get_by_label("Select all on this page").check()

    def late(*_arguments, **_options):
        cause = sqlite3.OperationalError("interrupted")
        cause.sqlite_errorcode = sqlite3.SQLITE_INTERRUPT
        raise OperationalError("interrupted") from cause

    with monkeypatch.context() as patch:
        patch.setattr(listing.Listing, "page", late)
        page.get_by_text("The database did not answer in time").wait_for()
        assert page.locator("td.ds-tick input:checked").count() == 43
    wait_until(lambda: page.locator("[data-live-status]").inner_text() == "", "the page is new again")
    page.get_by_role("button", name="Run now…").click()
    page.get_by_text("43 functions are selected.").wait_for()


def test_the_list_of_crons_is_live_and_a_tick_stays_with_its_cron(page):
    ctx.crons.register("second", crons.Interval(minutes=10), tick)
    page.goto(CRONS)
    page.get_by_role("checkbox", name="Select this object for an action - second").check()
    ctx.crons.register("first", crons.Interval(minutes=10), tick)
    page.get_by_role("link", name="first").wait_for()
    ctx.crons.pause("second", "for a while")
    page.locator("#result_list .ds-badge-paused").wait_for()
    assert page.get_by_role("checkbox", name="Select this object for an action - second").is_checked()
    assert not page.get_by_role("checkbox", name="Select this object for an action - first").is_checked()
    page.get_by_label("Action:").select_option("resume_selected")
    page.locator("#changelist-form button[name=index], #changelist-form button[type=submit]").first.click()
    page.get_by_text("Cron second: Resumed.").wait_for()


def test_the_page_of_a_cron_is_live_and_keeps_what_is_typed(page, execute_due):
    cron = ctx.crons.register("hourly", crons.Interval(hours=1), tick)
    page.goto(f"{CRONS}{cron.pk}/change/")
    page.get_by_label("Reason").fill("moving")
    page.get_by_label("Cron line").fill("0 9 * * *")
    ctx.crons.run_now("hourly")
    page.locator("#ds-history + div .ds-badge-in_progress").wait_for()
    execute_due()
    page.locator("#ds-history + div .ds-badge-success").wait_for()
    assert page.get_by_label("Reason").input_value() == "moving"
    assert page.get_by_label("Cron line").input_value() == "0 9 * * *"
    assert ScheduledFunction.objects.get().state == State.SUCCESS
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("Cron hourly: Paused: moving").wait_for()


def test_the_preview_of_a_cron_is_not_replaced_by_what_is_stored(page):
    cron = ctx.crons.register("hourly", crons.Interval(hours=1), tick)
    page.goto(f"{CRONS}{cron.pk}/change/")
    page.get_by_label("Every").fill("")
    page.get_by_label("Cron line").fill("7 9 * * *")
    page.get_by_role("button", name="Preview what is entered").click()
    runs = page.locator("#ds-next-runs").locator("xpath=../..").locator("tbody tr")
    page.get_by_text("09:07:00").first.wait_for()
    ctx.crons.run_now("hourly")
    page.locator("#ds-history + div .ds-badge-in_progress").wait_for()
    assert "09:07:00" in runs.first.inner_text()
