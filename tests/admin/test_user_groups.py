"""Support and operators, as ``manage.py scheduler_groups`` creates them, are offered what they may do, and no more."""

import re
from collections import deque
from collections.abc import Iterator
from html.parser import HTMLParser
from io import StringIO
from urllib.parse import urljoin

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.test import Client, modify_settings

from django_scheduler.crons.models import Cron
from django_scheduler.models import Pause, ScheduledFunction, State
from tests.admin import every_permission
from tests.admin.conftest import record
from tests.admin.every_permission import permissions
from tests.docs.blocks import ROOT

pytestmark = [pytest.mark.django_db, pytest.mark.once]

APP = "/admin/django_scheduler/"
SUPPORT, OPERATORS = "Scheduler support", "Scheduler operators"

#: Whoever chooses what a cron calls has everything run, so these are given by hand.
FOR_NOBODY = {"add_cron", "change_cron", "delete_cron"}


def create(**options) -> str:
    output = StringIO()
    call_command("scheduler_groups", stdout=output, **options)
    return output.getvalue()


def codenames_of(group: str) -> set[str]:
    return set(Group.objects.get(name=group).permissions.values_list("codename", flat=True))


def member_of(group: str) -> Client:
    user = User.objects.create_user(group.split()[1], is_staff=True)
    user.groups.set(Group.objects.filter(name=group))
    client = Client()
    client.force_login(user)
    return client


class Offers(HTMLParser):
    """Reads the links of a page, and what each button of its forms sends."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.posts: list[tuple[str, dict[str, str]]] = []
        self._action: str | None = None
        self._values: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name, kind = given.get("name", ""), given.get("type", "")
        if tag == "a":
            self.links.append(given.get("href", ""))
        elif tag == "form":
            self._action = given.get("action", "") if given.get("method") == "post" else None
            self._values = {}
        elif self._action is not None and tag in ("button", "input") and kind == "submit":
            self.posts.append((self._action, {**self._values, **({name: given.get("value", "")} if name else {})}))
        elif self._action is not None and tag == "input" and name:
            self._values[name] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._action = None


def offers(client: Client) -> Iterator[tuple[str, dict[str, str] | None]]:
    """Every link and button that somebody comes to, following the links of one page after the other."""
    seen, ahead = {APP}, deque([APP])
    while ahead:
        address = ahead.popleft()
        response = client.get(address)
        yield f"{response.status_code} {address.partition('?')[0]}", None
        page = Offers(response.content.decode()) if response.status_code == 200 else Offers("")
        for link in page.links:
            there = urljoin(address, link).partition("#")[0]
            # One page of each kind will do, whatever its filter is.
            kind = re.sub(r"\d+", "N", there.partition("?")[0])
            if there.startswith(APP) and kind not in seen:
                seen.add(kind)
                ahead.append(there)
        yield from ((urljoin(address, action or address), values) for action, values in page.posts)


@pytest.fixture
def shop():
    every_permission.set_up()
    record(State.FAILED, error="ValueError: password=sesame", args={"order_id": 7, "password": "sesame"})
    Pause.objects.create(queue="email", paused_time=ScheduledFunction.objects.latest("pk").creation_time)


def test_support_sees_and_operators_intervene_and_neither_chooses_what_runs():
    create()
    assert codenames_of(SUPPORT) == {"view_scheduledfunction", "view_cron"}
    assert codenames_of(OPERATORS) == permissions() - FOR_NOBODY


def test_the_command_says_what_it_has_given_and_gives_nothing_twice():
    said = create().splitlines()
    assert said[0] == "Scheduler support: created with view_scheduledfunction, view_cron"
    assert said[1].startswith("Scheduler operators: created with view_scheduledfunction, view_cron, cancel_")
    Group.objects.get(name=OPERATORS).permissions.remove(Permission.objects.get(codename="pause_cron"))
    assert create().splitlines() == [
        "Scheduler support: has all of its permissions",
        "Scheduler operators: was given pause_cron",
    ]
    assert Group.objects.count() == 2


def test_what_a_site_has_added_stays():
    create()
    other = Permission.objects.get(codename="add_user")
    Group.objects.get(name=SUPPORT).permissions.add(other)
    create()
    assert codenames_of(SUPPORT) == {"view_scheduledfunction", "view_cron", "add_user"}


def test_before_migrate_nothing_is_created_and_the_command_says_what_is_missing():
    Permission.objects.filter(codename="run_cron").delete()
    with pytest.raises(CommandError, match=r"not in the database 'default': run_cron\. `manage.py migrate`"):
        create()
    assert not Group.objects.exists()


def test_a_database_that_there_is_not_is_refused():
    with pytest.raises(CommandError, match="nowhere"):
        create(database="nowhere")


def test_without_the_admin_there_is_nothing_that_the_groups_would_allow():
    with (
        modify_settings(INSTALLED_APPS={"remove": "django.contrib.admin"}),
        pytest.raises(CommandError, match=r"'django\.contrib\.admin' is not in INSTALLED_APPS"),
    ):
        create()
    assert not Group.objects.exists()


def test_support_comes_to_every_page_and_is_offered_nothing_to_do(shop):
    create()
    client = member_of(SUPPORT)
    found = list(offers(client))
    pages = [page for page, values in found if values is None]
    assert [page for page in pages if not page.startswith("200 ")] == []
    for page in ("overview/", "overview/limits/", "overview/batches/", "scheduledfunction/", "cron/"):
        assert f"200 {APP}{page}" in pages
    assert {re.sub(r"\d+", "N", page) for page in pages} >= {
        f"N {APP}scheduledfunction/N/change/",
        f"N {APP}cron/N/change/",
        f"N {APP}cron/N/history/",
    }
    assert {address for address, values in found if values is not None and address.startswith(APP)} == set()


def test_nothing_that_operators_are_offered_is_refused(shop):
    create()
    client = member_of(OPERATORS)
    found = list(offers(client))
    assert [page for page, values in found if values is None and not page.startswith("200 ")] == []
    offered = [(address, values) for address, values in found if values is not None and address.startswith(APP)]
    for address, values in offered:
        assert client.post(address, values).status_code in (200, 302), (address, values)
    addresses = {re.sub(r"\d+", "N", address.removeprefix(APP)) for address, _ in offered}
    assert addresses >= {
        "scheduledfunction/act/",
        "overview/pause/",
        "overview/limits/change/",
        "overview/limits/release/",
        "cron/N/act/run_now/",
        "cron/N/act/pause/",
    }


def test_operators_neither_choose_what_runs_nor_delete_anything(shop):
    create()
    client = member_of(OPERATORS)
    cron = Cron.objects.get()
    assert client.get(f"{APP}cron/add/").status_code == 403
    assert client.post(f"{APP}cron/{cron.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.post(f"{APP}cron/{cron.pk}/change/", {"function": "tests:note"}).status_code == 403
    assert Cron.objects.get().function == cron.function


@pytest.mark.parametrize("group", [SUPPORT, OPERATORS])
def test_both_see_secrets_masked(shop, group):
    create()
    client = member_of(group)
    failed = ScheduledFunction.objects.filter(state=State.FAILED).latest("pk")
    for page in ("scheduledfunction/", f"scheduledfunction/{failed.pk}/change/", "overview/"):
        text = client.get(APP + page).content.decode()
        assert "sesame" not in text


def test_the_docs_say_what_each_group_may_do():
    create()
    _, _, text = (ROOT / "docs/admin.md").read_text().partition("## Permissions")
    rows = [line.split("|")[1:-1] for line in text.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    documented = {re.findall(r"`(\w+)`", names)[0]: marks for names, *marks in rows}
    assert set(documented) == permissions()
    for group, column in ((SUPPORT, 1), (OPERATORS, 2)):
        marked = {name for name, marks in documented.items() if marks[column].strip() == "yes"}
        assert marked == codenames_of(group)
