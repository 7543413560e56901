"""The dashboard as somebody uses it: in Chromium, live, under a strict Content-Security-Policy."""

import re
from collections.abc import Sequence
from datetime import timedelta

import pytest

from django_scheduler import ctx, pausing
from django_scheduler.admin import action_view
from django_scheduler.models import Pause, ScheduledFunction, State
from tests.functions import write
from tests.support.waiting import wait_until

# In one browser on one database: what differs between databases is tested without a browser.
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.only_on("sqlite"),
    pytest.mark.thorough,
    pytest.mark.timeout(120),
]

LIST = "/admin/django_scheduler/scheduledfunction/"
OVERVIEW = "/admin/django_scheduler/overview/"


def schedule(number: int = 1, delay: timedelta = timedelta(0), label: str = "tea") -> Sequence[int]:
    return ctx.scheduler.run_after_many(delay, write, [{"label": f"{label} {n}"} for n in range(number)])


def row(page, function_id):
    return page.locator(f'tr[data-key="{function_id}"]')


def test_a_function_appears_and_turns_to_success_without_a_reload(page, execute_due):
    page.goto(LIST)
    page.get_by_text("Nothing has been scheduled yet").wait_for()
    page.evaluate("window.notReloaded = true")
    [function_id] = schedule()
    row(page, function_id).locator(".ds-badge-pending").wait_for()
    execute_due()
    row(page, function_id).locator(".ds-badge-success").wait_for()
    assert page.evaluate("window.notReloaded")


def test_a_refresh_keeps_selection_focus_scroll_and_what_is_typed(page):
    first, *_ = ids = schedule(40, timedelta(hours=1))
    page.goto(LIST)
    row(page, first).locator("input").check()
    search = page.get_by_label("Search")
    search.fill("order_id=4")
    row(page, first).locator("a").first.focus()
    page.mouse.wheel(0, 300)
    wait_until(lambda: page.evaluate("scrollY") > 0, "the page has scrolled")
    position = page.evaluate("scrollY")
    [late] = schedule()
    row(page, late).wait_for()
    assert row(page, first).locator("input").is_checked()
    assert search.input_value() == "order_id=4"
    assert page.evaluate("document.activeElement.closest('tr').dataset.key") == str(first)
    assert abs(page.evaluate("scrollY") - position) < 120  # the new row itself
    assert "1 selected" in page.locator("[data-selected]").inner_text()
    assert len(ids) == 40


def test_live_can_be_switched_off_and_stays_off(page):
    schedule()
    page.clock.install()
    page.goto(LIST)
    toggle = page.get_by_role("button", name="Live")
    assert toggle.get_attribute("aria-pressed") == "true"
    toggle.click()
    assert toggle.get_attribute("aria-pressed") == "false"
    page.reload()
    assert page.get_by_role("button", name="Live").get_attribute("aria-pressed") == "false"
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.clock.run_for(10_000)
    assert not any("live=1" in url for url in requests)


def test_nothing_is_asked_while_the_page_is_hidden(page):
    page.clock.install()
    page.goto(LIST)
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.evaluate(
        """() => {
            Object.defineProperty(document, 'hidden', {configurable: true, get: () => true});
            document.dispatchEvent(new Event('visibilitychange'));
        }"""
    )
    page.clock.run_for(10_000)
    assert not any("live=1" in url for url in requests)
    page.evaluate(
        """() => {
            Object.defineProperty(document, 'hidden', {configurable: true, get: () => false});
            document.dispatchEvent(new Event('visibilitychange'));
        }"""
    )
    # What the page has asked is told while something is asked of the page.
    wait_until(lambda: page.title() and any("live=1" in url for url in requests), "the page asks again")


def test_one_is_canceled_from_its_page(page):
    [function_id] = schedule(delay=timedelta(hours=1))
    page.goto(f"{LIST}{function_id}/change/")
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_text("What is pending never runs.").wait_for()
    page.get_by_role("button", name="Yes: Cancel").click()
    page.get_by_text("1 canceled", exact=True).wait_for()
    page.locator(".ds-header .ds-badge-canceled").wait_for()
    assert ScheduledFunction.objects.get(pk=function_id).state == State.CANCELED


def test_all_that_match_are_canceled_in_batches_by_themselves(page, monkeypatch):
    monkeypatch.setattr(action_view, "PORTION", 50)
    schedule(120, timedelta(hours=1))
    [other] = schedule(delay=timedelta(hours=1), label="coffee")
    page.goto(f"{LIST}?q=tea&state=pending")
    page.get_by_label("all that match this filter").check()
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Yes: Cancel").click()
    page.get_by_text("120 canceled").wait_for()
    states = dict(ScheduledFunction.objects.values_list("pk", "state"))
    assert states.pop(other) == State.PENDING
    assert set(states.values()) == {State.CANCELED}


def test_some_are_run_again(page, execute_due):
    ids = schedule(3)
    execute_due()
    page.goto(f"{LIST}?state=success")
    page.get_by_label("Select all on this page").check()
    page.get_by_role("button", name="Run again…").click()
    page.get_by_role("button", name="Yes: Run again").click()
    page.get_by_text("3 scheduled again").wait_for()
    assert set(ScheduledFunction.objects.filter(state="pending").values_list("rerun_of", flat=True)) == set(ids)


def test_one_is_rescheduled(page):
    [function_id] = schedule(delay=timedelta(hours=1))
    page.goto(f"{LIST}{function_id}/change/")
    page.get_by_role("button", name="Reschedule…").click()
    page.get_by_label("Run at").fill("2027-03-01T12:30:00")
    page.get_by_role("button", name="Yes: Reschedule").click()
    page.get_by_text("1 rescheduled").wait_for()
    assert f"{ScheduledFunction.objects.get(pk=function_id).due_time:%Y-%m-%d %H:%M}" == "2027-03-01 12:30"


def test_everything_is_paused_and_resumed(page):
    page.goto(OVERVIEW)
    page.get_by_role("button", name="Pause everything…").click()
    page.get_by_label("Reason").fill("Moving the database")
    page.get_by_role("button", name="Yes: pause").click()
    page.get_by_text("Everything is paused").wait_for()
    assert Pause.objects.get().reason == "Moving the database"
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("Resumed.").wait_for()
    assert not Pause.objects.exists()


def test_the_overview_is_live(page):
    page.goto(OVERVIEW)
    page.get_by_text("nothing is due", exact=True).wait_for()
    schedule(3)
    page.locator(".ds-stat-number", has_text=re.compile("^3$")).first.wait_for()
    pausing.pause("default", reason="by a colleague")
    page.get_by_text("by a colleague").wait_for()


def test_filters_apply_by_themselves_and_leave_a_clean_address(page):
    schedule()
    page.goto(LIST)
    page.get_by_label("Kind").select_option("action")
    page.get_by_text("No function matches").wait_for()
    assert page.url.endswith("?kind=action")
    page.get_by_role("link", name="Clear").click()
    page.locator("tr[data-key]").wait_for()


def test_who_may_only_view_is_offered_nothing(new_page, clerk):
    [function_id] = schedule(delay=timedelta(hours=1))
    page = new_page(clerk)
    for path in (LIST, f"{LIST}{function_id}/change/", OVERVIEW):
        page.goto(path)
        page.locator(".ds").wait_for()
        assert page.locator(".ds form[method=post] button").count() == 0


def test_who_may_not_view_is_denied(new_page, clerk):
    clerk.user_permissions.clear()
    page = new_page(clerk, java_script_enabled=False)
    page.on("console", lambda message: None)
    response = page.request.get(LIST)
    assert response.status == 403


def test_everything_works_without_javascript(new_page, administrator):
    ids = schedule(3, timedelta(hours=1))
    page = new_page(administrator, java_script_enabled=False)
    page.goto(LIST)
    assert not page.get_by_role("button", name="Live").is_visible()
    row(page, ids[0]).locator("input").check()
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Yes: Cancel").click()
    page.get_by_text("1 canceled", exact=True).wait_for()
    page.get_by_label("Kind").select_option("action")
    page.get_by_role("button", name="Apply").click()
    page.get_by_text("No function matches").wait_for()
    page.goto(f"{LIST}?state=pending")
    page.get_by_label("all that match this filter").check()
    page.get_by_role("button", name="Run now…").click()
    page.get_by_role("button", name="Yes: Run now").click()
    page.get_by_text("2 are due now").wait_for()


def test_a_selected_function_is_canceled_by_the_keyboard(page):
    ids = schedule(2, timedelta(hours=1))
    page.goto(f"{LIST}?state=pending")
    row(page, ids[1]).locator("input").focus()
    page.keyboard.press("Space")
    press_tab_until(page, "Cancel")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Yes: Cancel").wait_for()
    press_tab_until(page, "Yes: Cancel")
    page.keyboard.press("Enter")
    page.get_by_text("1 canceled", exact=True).wait_for()


def press_tab_until(page, name):
    names = []
    for _ in range(50):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.textContent").strip())
        if names[-1].startswith(name):
            return
    raise AssertionError(names)


def test_arguments_are_copied(new_page, administrator):
    [function_id] = schedule(delay=timedelta(hours=1))
    page = new_page(administrator, permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{LIST}{function_id}/change/")
    page.get_by_role("button", name="Copy").first.click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == '{\n  "label": "tea 0"\n}'


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(new_page, administrator, scheme, execute_due):
    """4.5 to 1, as WCAG asks for, of every badge, link, button and quiet text."""
    schedule(2, timedelta(hours=1))
    schedule()
    execute_due()
    page = new_page(administrator, color_scheme=scheme)
    for path in (LIST, OVERVIEW, f"{LIST}?state=failed"):
        page.goto(path)
        assert page.evaluate(TOO_LITTLE_CONTRAST) == []


TOO_LITTLE_CONTRAST = """() => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const rgba = (color) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const luminance = (rgb) => {
        const [r, g, b] = rgb.slice(0, 3).map((v) => v / 255).map((v) =>
            v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const background = (element) => {
        for (let e = element; e; e = e.parentElement) {
            const color = rgba(getComputedStyle(e).backgroundColor);
            if (color[3] > 250) return color;
        }
        return [255, 255, 255, 255];
    };
    const poor = [];
    for (const element of document.querySelectorAll('.ds *')) {
        const text = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
        if (!text || !element.checkVisibility() || element.closest('.ds-hidden, option, svg')) continue;
        const style = getComputedStyle(element);
        const [one, other] = [luminance(rgba(style.color)), luminance(background(element))].sort((a, b) => b - a);
        const ratio = (one + 0.05) / (other + 0.05);
        const what = element.textContent.trim().slice(0, 30);
        if (ratio < 4.5) poor.push(`${element.className} ${what} ${ratio.toFixed(2)}`);
    }
    return poor;
}"""
