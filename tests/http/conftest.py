import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client


@pytest.fixture(autouse=True)
def _site(settings, transactional_db):
    settings.ROOT_URLCONF = "tests.http.urls"


@pytest.fixture
def user() -> User:
    return User.objects.create_user("anna", is_staff=True)


class Api:
    """Is a client of the HTTP API."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def post(self, kind: str, body: Any, content_type: str = "application/json", **headers: str) -> Any:
        """Return the response to any body."""
        data = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.client.post(f"/api/{kind}/", data, content_type=content_type, headers=headers)

    def mutation(self, path: str, **args: Any) -> Any:
        response = self.post("mutation", {"path": path, "args": args})
        return {"http": response.status_code, **response.json()}

    def action(self, path: str, **args: Any) -> Any:
        response = self.post("action", {"path": path, "args": args})
        return {"http": response.status_code, **response.json()}


@pytest.fixture
def api(client) -> Api:
    return Api(client)
