"""Pause and resume in the admin: confirmed, with a reason, on record."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from django_scheduler.models import Pause, State
from tests.admin.conftest import OVERVIEW, PAUSE, client_with, messages_of, page, record

pytestmark = pytest.mark.django_db


def post(client, **values):
    return client.post(reverse(PAUSE), values, follow=True)


@pytest.mark.once
def test_pausing_is_confirmed_first(admin_client):
    text = post(admin_client, queue="email").content.decode()
    assert "Pause the queue email" in text
    assert not Pause.objects.exists()


def test_a_queue_is_paused_and_resumed(admin_client, admin_user):
    record(State.PENDING, queue="email")
    response = post(admin_client, queue="email", confirmed="1", reason="mail is down")
    assert messages_of(response)[0].startswith("Paused.")
    pause = Pause.objects.get()
    assert (pause.queue, pause.reason, pause.paused_by) == ("email", "mail is down", "admin")
    text = page(admin_client, OVERVIEW)
    for piece in ("mail is down", "by admin", "Resume"):
        assert piece in text
    assert messages_of(post(admin_client, queue="email", do="resume")) == ["Resumed."]
    assert not Pause.objects.exists()
    entries = LogEntry.objects.order_by("pk").values_list("object_id", "change_message", "user")
    assert list(entries) == [("email", "Paused: mail is down", admin_user.pk), ("email", "Resumed", admin_user.pk)]


@pytest.mark.once
def test_everything_is_paused_and_that_is_seen_at_once(admin_client):
    post(admin_client, queue="", confirmed="1", reason="")
    assert "Everything is paused" in page(admin_client, OVERVIEW)
    assert LogEntry.objects.get().object_repr == "every queue"
    post(admin_client, queue="", do="resume")
    assert "Everything is paused" not in page(admin_client, OVERVIEW)


@pytest.mark.once
def test_a_paused_queue_is_shown_even_if_nothing_waits_in_it(admin_client):
    post(admin_client, queue="email", confirmed="1")
    assert "email" in page(admin_client, OVERVIEW)


def test_twice_is_told(admin_client):
    post(admin_client, queue="email", confirmed="1")
    assert messages_of(post(admin_client, queue="email", confirmed="1")) == ["It is paused already."]
    post(admin_client, queue="email", do="resume")
    assert messages_of(post(admin_client, queue="email", do="resume")) == ["It was not paused."]


@pytest.mark.parametrize("queue", ["x" * 101, "a\0b"])
def test_a_name_that_no_queue_can_have(admin_client, queue):
    assert messages_of(post(admin_client, queue=queue, confirmed="1")) == ["There is no such queue."]


@pytest.mark.once
def test_it_needs_its_own_permission():
    every_other = ("cancel", "run_now", "run_again", "reschedule", "change", "delete", "add")
    client = client_with("view_scheduledfunction", *(f"{name}_scheduledfunction" for name in every_other))
    assert post(client, queue="email", confirmed="1").status_code == 403
    client = client_with("view_scheduledfunction", "pause_queue")
    assert post(client, queue="email", confirmed="1").status_code == 200
    assert Pause.objects.exists()
