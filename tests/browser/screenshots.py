"""Writes the pictures in ``docs/images``: ``make screenshots``."""

from pathlib import Path

import pytest

from django_scheduler import pausing
from django_scheduler.crons.models import Cron
from django_scheduler.models import ScheduledFunction, State
from tests.browser import scenery

IMAGES = Path(__file__).parents[2] / "docs" / "images"

APP = "/admin/django_scheduler"

DESKTOP, PHONE = {"width": 1400, "height": 900}, {"width": 420, "height": 900}

LOOKS = [("light", DESKTOP, "light"), ("dark", DESKTOP, "dark"), ("narrow", PHONE, "light")]


@pytest.mark.parametrize(("look", "viewport", "scheme"), LOOKS, ids=[look[0] for look in LOOKS])
def test_pictures_are_taken(new_page, administrator, look, viewport, scheme):
    IMAGES.mkdir(exist_ok=True)
    scenery.set_up()
    page = new_page(administrator, color_scheme=scheme)
    page.set_viewport_size(viewport)
    functions = ScheduledFunction.objects
    failed = functions.filter(state=State.FAILED, name="orders:book_courier").latest("pk")
    functions.filter(pk__in=range(failed.pk + 1, failed.pk + 4)).update(parent=failed.pk)
    functions.filter(pk=failed.pk).update(parent=failed.pk - 3)
    order = functions.filter(state=State.SUCCESS, name="orders:create_order").latest("pk")
    functions.filter(pk=order.pk).update(result=4711)
    for name, path in {
        "overview": "/overview/",
        "crons": "/cron/",
        "cron": f"/cron/{Cron.objects.get(name='ask the courier').pk}/change/",
        "detail-failed": f"/scheduledfunction/{failed.pk}/change/",
        "detail-success": f"/scheduledfunction/{order.pk}/change/",
    }.items():
        page.goto(APP + path)
        page.screenshot(path=IMAGES / f"{name}-{look}.png", full_page=True)
    page.goto(f"{APP}/scheduledfunction/")
    page.screenshot(path=IMAGES / f"list-{look}.png")
    page.goto(f"{APP}/scheduledfunction/?state=failed&function=orders%3Abook_courier")
    page.screenshot(path=IMAGES / f"failed-{look}.png")
    page.goto(f"{APP}/scheduledfunction/?state=pending")
    for number in range(3):
        page.locator("td.ds-tick input").nth(number).check()
    page.get_by_role("button", name="Reschedule…").click()
    page.get_by_role("button", name="Yes: Reschedule").wait_for()
    page.wait_for_load_state("networkidle")
    page.screenshot(path=IMAGES / f"confirm-{look}.png")
    pausing.pause("default", "courier", reason="The courier's service is down until noon", paused_by="ada")
    pausing.pause("default", reason="Moving the database", paused_by="ada")
    page.goto(f"{APP}/overview/")
    page.screenshot(path=IMAGES / f"paused-{look}.png")
