"""What the admin shows of scheduled functions, to whom, and that it changes nothing."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from django_scheduler import ctx
from django_scheduler.models import ScheduledFunction, State
from tests.functions import write

pytestmark = pytest.mark.django_db

LIST = "admin:django_scheduler_scheduledfunction_changelist"
DETAIL = "admin:django_scheduler_scheduledfunction_change"


@pytest.fixture
def scheduled() -> ScheduledFunction:
    return ScheduledFunction.objects.get(pk=ctx.scheduler.run_after(0, write, label="<script>alert(1)</script>"))


def client_with(*permissions: str) -> Client:
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def test_the_list_shows_every_scheduled_function(admin_client, scheduled):
    page = admin_client.get(reverse(LIST)).content.decode()
    assert "tests:write" in page
    assert f">{scheduled.pk}<" in page


@pytest.mark.parametrize(
    ("query", "found"), [("tests:wri", True), ("{id}", True), ("orders:", False), ("write", False)]
)
def test_the_list_is_searched_by_id_and_by_how_the_name_begins(admin_client, scheduled, query, found):
    page = admin_client.get(reverse(LIST), {"q": query.format(id=scheduled.pk)}).content.decode()
    assert (f">{scheduled.pk}<" in page) is found


def test_the_list_is_filtered_by_state(admin_client, scheduled):
    assert f">{scheduled.pk}<" in admin_client.get(reverse(LIST), {"state": "pending"}).content.decode()
    assert f">{scheduled.pk}<" not in admin_client.get(reverse(LIST), {"state": "failed"}).content.decode()


def test_the_detail_page_shows_arguments_and_error_inert(admin_client, scheduled):
    ScheduledFunction.objects.update(state=State.FAILED, failure="error", error="ValueError: <b>no</b>")
    page = admin_client.get(reverse(DETAIL, args=[scheduled.pk])).content.decode()
    assert "<script>alert(1)" not in page
    assert "ValueError: &lt;b&gt;no&lt;/b&gt;" in page


def test_a_user_with_view_permission_sees_and_cannot_write(scheduled):
    client = client_with("view_scheduledfunction")
    assert client.get(reverse(DETAIL, args=[scheduled.pk])).status_code == 200
    assert client.post(reverse(DETAIL, args=[scheduled.pk]), {"name": "tests:other"}).status_code == 403
    scheduled.refresh_from_db()
    assert scheduled.name == "tests:write"


def test_a_user_without_permission_sees_nothing(scheduled):
    assert client_with().get(reverse(LIST)).status_code == 403


@pytest.mark.parametrize("page", ["add", "delete"])
def test_not_even_a_superuser_adds_or_deletes(admin_client, scheduled, page):
    arguments = [] if page == "add" else [scheduled.pk]
    url = reverse(f"admin:django_scheduler_scheduledfunction_{page}", args=arguments)
    assert admin_client.get(url).status_code == 403
    assert admin_client.post(url, {"post": "yes"}).status_code == 403
    assert ScheduledFunction.objects.count() == 1


def test_the_permission_to_cancel_can_be_given():
    assert Permission.objects.filter(codename="cancel_scheduledfunction").exists()
