"""The pages of crons show at once what has become of runs, refresh themselves, and spell names as they are."""

import re

import pytest
from django.urls import reverse
from django.utils import timezone

from django_scheduler import crons, ctx
from django_scheduler.crons.models import Cron, CronRun
from django_scheduler.models import UNFINISHED, ScheduledFunction, State
from tests.crons.functions import tick

pytestmark = [pytest.mark.django_db, pytest.mark.once]

CRONS, CRON = "admin:django_scheduler_cron_changelist", "admin:django_scheduler_cron_change"


@pytest.fixture
def cron() -> Cron:
    return ctx.crons.register("a cron", crons.Daily(hour=9, minute=0, timezone="Asia/Tokyo"), tick)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"state": State.PENDING}, "scheduled"),
        ({"state": State.IN_PROGRESS}, "scheduled"),
        ({"state": State.SUCCESS}, "success"),
        ({"state": State.FAILED, "error": "ValueError: no"}, "failed"),
        ({"state": State.CANCELED}, "canceled"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_how_a_run_has_ended_is_shown_at_once(admin_client, cron, values, expected):
    function_id = ctx.crons.run_now(cron.name)
    times = {} if values["state"] in UNFINISHED else {"completed_time": timezone.now()}
    ScheduledFunction.objects.filter(pk=function_id).update(**values, **times)
    for url in (reverse(CRONS), reverse(CRON, args=[cron.pk])):
        for parameters in ({}, {"live": "1"}):
            page = admin_client.get(url, parameters).content.decode()
            assert len(re.findall(rf"</svg>{expected}</span>", page)) == 1
    assert ("ValueError: no" in page) is (expected == "failed")
    assert CronRun.objects.get().state == "scheduled"  # an executor has not come to it


def test_what_is_new_of_a_page_is_delivered_alone(admin_client, cron):
    for url in (reverse(CRONS), reverse(CRON, args=[cron.pk])):
        text = admin_client.get(url, {"live": "1"}).content.decode()
        assert "<html" not in text
        assert "a cron" in text
        assert "id_function" not in text
    assert "a cron" not in admin_client.get(reverse(CRONS), {"live": "1", "state": "paused"}).content.decode()


def test_a_message_about_a_cron_spells_its_name_as_it_is(admin_client, cron):
    """The admin writes the first letter of a message as a capital."""
    Cron.objects.update(timezone="Europe/Atlantis", paused_time=timezone.now(), next_time=None)
    for verb, expected in (("pause", "Cron a cron: Paused: "), ("resume", "Cron a cron: ")):
        url = reverse("admin:django_scheduler_cron_act", args=[cron.pk, verb])
        messages = [str(message) for message in admin_client.post(url, follow=True).context["messages"]]
        assert len(messages) == 1
        assert messages[0].startswith(expected)


def test_what_is_caught_up_has_a_default(admin_client):
    page = admin_client.get(reverse("admin:django_scheduler_cron_add")).content.decode()
    field = page.split('<select name="catch_up"')[1].split("</select>")[0]
    assert '<option value="one" selected>' in field
    assert 'value=""' not in field
