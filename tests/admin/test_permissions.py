"""Who may see and do what: whatever is not permitted is refused, however the request was made."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from django_scheduler.models import Pause, ScheduledFunction, State
from tests.admin.conftest import ACT, DETAIL, LIST, OVERVIEW, PAUSE, act, client_with, messages_of, page, record

pytestmark = [pytest.mark.django_db, pytest.mark.once]

ACTIONS = ("cancel", "run_now", "run_again", "reschedule")
APP = "/admin/django_scheduler"

PATHS = (
    "scheduledfunction/1/change/",
    "scheduledfunction/1/delete/",
    "scheduledfunction/1/history/",
    "scheduledfunction/add/",
    "overview/",
    "overview/add/",
    "overview/1/change/",
    "overview/1/delete/",
    "overview/1/history/",
)


def snapshot():
    return (
        list(ScheduledFunction.objects.order_by("pk").values_list("pk", "state", "due_time", "name")),
        list(Pause.objects.values_list("pk", flat=True)),
    )


def crafted_requests():
    for action in (*ACTIONS, "delete_selected", "", "__class__"):
        for extra in ({}, {"confirmed": "1"}, {"confirmed": "1", "all": "1", "last": "99999999", "query": ""}):
            yield f"{APP}/scheduledfunction/act/", {"action": action, "id": ["1", "2"], "when": "2027-01-01", **extra}
            yield f"{APP}/scheduledfunction/", {"action": action, "_selected_action": ["1"], **extra}
    for path in PATHS:
        yield f"{APP}/{path}", {"name": "tests:other", "state": "success", "_save": "1", "post": "yes"}
    for queue in ("", "default"):
        yield f"{APP}/overview/pause/", {"queue": queue, "confirmed": "1"}
        yield f"{APP}/overview/pause/", {"queue": queue, "do": "resume"}


def test_who_may_only_view_changes_nothing_by_any_crafted_request(functions):
    Pause.objects.create(queue="default", paused_time=functions["pending"].due_time)
    client = client_with("view_scheduledfunction")
    before = snapshot()
    requests = [*crafted_requests()]
    for url, data in requests:
        status = client.post(url, data).status_code
        assert status in (403, 404, 405) or url.endswith("history/"), (url, data, status)
        client.get(url, data)
    for url in {url for url, _ in requests}:
        for method in (client.put, client.patch, client.delete):
            method(url)
    assert snapshot() == before


@pytest.mark.parametrize("permissions", [(), ("cancel_scheduledfunction", "pause_queue", "change_limit")])
def test_who_may_not_view_sees_and_does_nothing(functions, permissions):
    client = client_with(*permissions)
    pk = functions["pending"].pk
    for url in (reverse(LIST), reverse(DETAIL, args=[pk]), reverse(OVERVIEW)):
        assert client.get(url).status_code == 403
    assert act(client, "cancel", pk).status_code == 403
    assert client.post(reverse(PAUSE), {"queue": "", "confirmed": "1"}).status_code == 403
    assert "django_scheduler" not in client.get("/admin/").content.decode()


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_has_a_permission_of_its_own(functions, action):
    client = client_with("view_scheduledfunction", f"{action}_scheduledfunction")
    for each in ACTIONS:
        response = client.post(reverse(ACT), {"action": each, "id": [functions["pending"].pk]})
        assert response.status_code == (200 if each == action else 403)
    text = page(client, LIST)
    assert [each for each in ACTIONS if f'value="{each}"' in text] == [action]


def test_who_may_only_view_is_offered_nothing(functions):
    client = client_with("view_scheduledfunction")
    for text in (page(client, LIST), page(client, DETAIL, functions["pending"].pk), page(client, OVERVIEW)):
        assert 'name="action"' not in text
        assert 'type="checkbox"' not in text
        assert "pause/" not in text


def test_every_permission_can_be_given():
    permissions = Permission.objects.filter(content_type__app_label="django_scheduler")
    codenames = set(permissions.values_list("codename", flat=True))
    assert {f"{action}_scheduledfunction" for action in ACTIONS} | {"pause_queue"} <= codenames


def test_a_request_without_the_token_against_forgery_is_refused(admin_user, functions):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    for url, data in (
        (reverse(ACT), {"action": "cancel", "id": [functions["pending"].pk], "confirmed": "1"}),
        (reverse(PAUSE), {"queue": "", "confirmed": "1"}),
    ):
        assert client.post(url, data).status_code == 403
    assert ScheduledFunction.objects.get(pk=functions["pending"].pk).state == State.PENDING
    assert not Pause.objects.exists()


@pytest.mark.parametrize(("url", "page_before"), [(ACT, LIST), (PAUSE, OVERVIEW)])
def test_nothing_is_done_by_get_to_which_a_new_sign_in_leads(client, admin_user, functions, url, page_before):
    data = {"action": "cancel", "id": [functions["pending"].pk], "confirmed": "1", "queue": ""}
    sign_in = client.post(reverse(url), data).url
    client.force_login(admin_user)
    response = client.get(sign_in.partition("next=")[2], data, follow=True)
    assert response.redirect_chain == [(reverse(page_before), 302)]
    assert messages_of(response) == ["Nothing has been done, because you had to sign in anew. Choose again what to do."]
    assert client.put(reverse(url)).status_code == 405
    assert ScheduledFunction.objects.get(pk=functions["pending"].pk).state == State.PENDING
    assert not Pause.objects.exists()


def test_who_is_not_signed_in_is_asked_to(client, functions):
    response = client.post(reverse(ACT), {"action": "cancel", "id": [functions["pending"].pk], "confirmed": "1"})
    assert response.status_code == 302
    assert "login" in response.url
    assert ScheduledFunction.objects.get(pk=functions["pending"].pk).state == State.PENDING


@pytest.mark.parametrize("page", ["add", "delete"])
def test_not_even_a_superuser_adds_or_deletes(admin_client, page):
    function = record()
    arguments = [] if page == "add" else [function.pk]
    url = reverse(f"admin:django_scheduler_scheduledfunction_{page}", args=arguments)
    assert admin_client.get(url).status_code == 403
    assert admin_client.post(url, {"post": "yes"}).status_code == 403
    assert ScheduledFunction.objects.count() == 1
