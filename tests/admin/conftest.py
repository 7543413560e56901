"""Who looks, and what there is to be seen."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_scheduler.models import Batch, Kind, ScheduledFunction, State

LIST = "admin:django_scheduler_scheduledfunction_changelist"
DETAIL = "admin:django_scheduler_scheduledfunction_change"
ACT = "admin:django_scheduler_scheduledfunction_act"
OVERVIEW = "admin:django_scheduler_overview_changelist"
BATCHES = "admin:django_scheduler_overview_batches"
PAUSE = "admin:django_scheduler_overview_pause"

#: Statements that begin, limit and end others.
CONTROL = ("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT", "SET ", "SELECT set_config", "SELECT current_setting")

FINISHED = (State.SUCCESS, State.FAILED, State.CANCELED)


def client_with(*permissions: str) -> Client:
    """Return the client of somebody of the staff who has these permissions and no others."""
    user, _ = User.objects.get_or_create(username="clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def record(state: State = State.SUCCESS, **values: Any) -> ScheduledFunction:
    """Put a function on record, as an executor would have left it, and return it."""
    now = timezone.now()
    if state in FINISHED:
        values.setdefault("completed_time", now)
    if state in (State.SUCCESS, State.FAILED, State.IN_PROGRESS):
        values.setdefault("started_time", now - timedelta(seconds=2))
    return ScheduledFunction.objects.create(
        **{
            "name": "tests:write",
            "kind": Kind.MUTATION,
            "queue": "default",
            "priority": 0,
            "args": {"label": "a"},
            "state": state,
            "scheduled_time": now,
            "due_time": now,
            "creation_time": now,
            "attempts": 0 if state == State.PENDING else 1,
            **values,
        }
    )


def make_batch(**values: Any) -> Batch:
    """Put a batch on record without any members, and return it."""
    return Batch.objects.create(**{"creation_time": timezone.now(), **values})


def page(client: Client, url_name: str, *arguments: object, **parameters: Any) -> str:
    """Return a page in which no template has hidden an error."""
    response = client.get(reverse(url_name, args=arguments), parameters)
    assert response.status_code == 200, response.status_code
    return response.content.decode()


def ids_on(text: str) -> list[int]:
    """Return the functions that a page lists, in its order."""
    return [int(line.split('"')[0]) for line in text.split('<tr data-key="')[1:] if line.split('"')[0].isdecimal()]


def act(client: Client, action: str, *ids: int, **values: object) -> Any:
    """Do something to functions, confirmed; the page that one is led to."""
    data = {"action": action, "id": ids, "confirmed": "1", **values}
    return client.post(reverse(ACT), data, follow=True)


def messages_of(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


@pytest.fixture
def count_queries() -> Callable[[], Any]:
    """Return what counts the statements that read or write tables, and not those that begin, limit and end them."""

    class Counting(CaptureQueriesContext):
        @property
        def statements(self) -> list[str]:
            return [query["sql"] for query in self.captured_queries if not query["sql"].startswith(CONTROL)]

    return lambda: Counting(connection)


@pytest.fixture
def functions(db) -> dict[str, ScheduledFunction]:
    """Return one function in each state."""
    return {state.value: record(state) for state in State}
