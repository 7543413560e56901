"""A real Chromium, in which nothing may go wrong unnoticed: an error on the console fails the test."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

from tests.browser import remote

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# It is not to look for updates, or for anything else outside of this machine.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

TIMEOUT = 20_000  # milliseconds

PAGES = pytest.StashKey[list[Any]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Show what the pages of a test showed when it failed."""
    report = yield
    if report.when == "call" and report.failed:
        for page in item.stash.get(PAGES, []):
            with suppress(Exception):
                report.sections.append((page.url, page.inner_text("body")))
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    sync_api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    if executable is None:
        pytest.skip(f"there is no Chromium here: none of {', '.join(NAMES)} is on the PATH")
    with ThreadPoolExecutor(1, thread_name_prefix="playwright") as thread:
        playwright = remote.start(thread, sync_api.sync_playwright)
        try:
            browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
            yield browser
            browser.close()
        finally:
            playwright.stop()


@pytest.fixture(scope="session")
def live_server(django_db_setup, live_server):
    """Return the server, begun once the test database is a file: one in memory would share the tests' connection."""
    return live_server


@pytest.fixture
def new_page(request, browser, live_server, transactional_db) -> Iterator[Callable]:
    """Yield what opens a page as a user who is signed in."""
    contexts, errors = [], []
    pages = request.node.stash[PAGES] = []

    def new(user, **options):
        context = browser.new_context(base_url=live_server.url, viewport={"width": 1400, "height": 900}, **options)
        context.set_default_timeout(TIMEOUT)
        contexts.append(context)
        client = Client()
        client.force_login(user)
        cookie = client.cookies["sessionid"]
        context.add_cookies([{"name": "sessionid", "value": cookie.value, "url": live_server.url}])
        context.route("**/favicon.ico", lambda route: route.fulfill(status=204))
        page = context.new_page()
        pages.append(page)
        # Also what the Content-Security-Policy forbids is told there.
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield new
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def administrator(transactional_db):
    return get_user_model().objects.create_superuser("ada", "ada@shop.example", "ada")


@pytest.fixture
def clerk(transactional_db):
    """Return a user who may see, and do nothing."""
    user = get_user_model().objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_scheduledfunction"))
    return user


@pytest.fixture
def page(new_page, administrator):
    return new_page(administrator)
