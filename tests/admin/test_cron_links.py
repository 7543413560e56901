"""Crons on the pages of scheduled functions."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from freezegun import freeze_time

from django_scheduler import crons, ctx
from django_scheduler.crons.models import Cron
from tests.admin.conftest import DETAIL, LIST, OVERVIEW, client_with, ids_on, page, record
from tests.crons.functions import tick
from tests.functions import write

pytestmark = [pytest.mark.django_db, pytest.mark.once]

CRONS = "admin:django_scheduler_cron_changelist"


@pytest.fixture
def cron() -> Cron:
    return ctx.crons.register("every half hour", crons.Interval(minutes=30), tick, label="a")


def link_to(cron: Cron) -> str:
    return f'href="{reverse("admin:django_scheduler_cron_change", args=[cron.pk])}"'


def test_what_crons_are_going_to_schedule_is_upcoming(admin_client, cron):
    now = timezone.now().replace(minute=20, second=0, microsecond=0)
    Cron.objects.update(next_time=now.replace(minute=0) + timedelta(hours=3))
    with freeze_time(now):
        shown = admin_client.get(reverse(OVERVIEW)).context["upcoming"].value
    assert (shown.up_total, shown.highest) == (
        43,
        2,
    )  # until 20 minutes past


def test_what_is_due_at_the_end_of_the_24_hours_is_upcoming(admin_client):
    ctx.scheduler.run_after(timedelta(hours=23, minutes=58), write, label="late")
    ctx.scheduler.run_after(timedelta(hours=24, minutes=2), write, label="too late")
    shown = admin_client.get(reverse(OVERVIEW)).context["upcoming"].value
    assert shown.up_total == 1


def test_function_leads_to_the_cron_that_scheduled_it(admin_client, cron):
    function_id = ctx.crons.run_now(cron.name)
    assert link_to(cron) in page(admin_client, DETAIL, function_id)
    assert link_to(cron) not in page(admin_client, DETAIL, record().pk)


def test_who_may_not_see_crons_is_not_led_to_them(cron):
    function_id = ctx.crons.run_now(cron.name)

    def sees_crons(client: Client) -> bool:
        text = page(client, DETAIL, function_id)
        assert (link_to(cron) in text) == (f'href="{reverse(CRONS)}"' in text)
        return link_to(cron) in text

    assert sees_crons(client_with("view_scheduledfunction", "view_cron"))
    assert not sees_crons(client_with("view_scheduledfunction"))


def test_functions_by_who_has_scheduled_them(admin_client, cron):
    of_cron = ctx.crons.run_now(cron.name)
    of_code = record()
    of_function = record(parent=of_code)
    for by, function_id in (("cron", of_cron), ("code", of_code.pk), ("function", of_function.pk)):
        assert ids_on(page(admin_client, LIST, by=by)) == [function_id]
