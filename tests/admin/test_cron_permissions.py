"""Who may do what with crons: with each permission, and each pair of them, nobody runs what they may not."""

import re
from itertools import combinations

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import Permission
from django.urls import reverse

from django_scheduler import crons, ctx
from django_scheduler.crons.models import Cron
from django_scheduler.models import ScheduledFunction
from tests.admin.conftest import client_with, messages_of, record
from tests.crons.functions import tick, tick_by_code_alone
from tests.docs.blocks import ROOT

pytestmark = pytest.mark.django_db

LIST, ADD = "admin:django_scheduler_cron_changelist", "admin:django_scheduler_cron_add"
FIELDS = {"every": "", "timezone": "UTC", "catch_up": "one", "pause_after_failures": ""}
ENTERED = {"function": "tests:note", "args": '{"label": "mine"}', "line": "0 6 * * *", **FIELDS}


@pytest.fixture
def cron() -> Cron:
    return ctx.crons.register("a cron", crons.Daily(hour=9, minute=0, timezone="UTC"), tick, label="code's")


def page_of(cron: Cron) -> str:
    return reverse("admin:django_scheduler_cron_change", args=[cron.pk])


def address(cron: Cron, verb: str) -> str:
    return reverse("admin:django_scheduler_cron_act", args=[cron.pk, verb])


def calls() -> list[tuple[str, str, object]]:
    return list(Cron.objects.order_by("name").values_list("name", "function", "args"))


def attempts(cron: Cron):
    """What somebody may send, to have a function run that is not for them to run."""
    yield reverse(ADD), {"name": "mine", **ENTERED}
    yield page_of(cron), ENTERED
    yield page_of(cron), {**ENTERED, "_saveasnew": "1", "name": "mine"}
    yield page_of(cron), {**ENTERED, "_popup": "1", "_to_field": "id"}
    yield f"{page_of(cron)}?function=tests:note", {**ENTERED, "_continue": "1"}
    yield address(cron, "run_now"), {}
    yield reverse(LIST), {"action": "run_selected_now", "_selected_action": [cron.pk]}
    edited = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": cron.pk, "form-0-function": "tests:note"}
    yield reverse(LIST), {"_save": "1", **edited}


PERMISSIONS = [f"{verb}_cron" for verb in ("view", "add", "change", "delete", "pause", "run")]
OTHERS = ["run_now_scheduledfunction", "run_again_scheduledfunction", "cancel_scheduledfunction", "pause_queue"]


@pytest.mark.once
@pytest.mark.thorough
def test_no_two_permissions_choose_what_runs_unless_one_is_to_run_and_one_to_see(cron):
    before = calls()
    for permissions in [*combinations(PERMISSIONS, 2), tuple(OTHERS)]:
        if "run_cron" in permissions and {"view_cron", "change_cron"} & {*permissions}:
            continue
        client = client_with(*permissions)
        for url, data in attempts(cron):
            status = client.post(url, data).status_code
            assert status < 500, (permissions, url, data)
            assert calls() == before, (permissions, url, data)
        assert not ScheduledFunction.objects.exists(), permissions


@pytest.mark.once
@pytest.mark.parametrize("permission", [*PERMISSIONS, "view_scheduledfunction", *OTHERS])
def test_every_page_has_an_answer_for_whoever_has_one_permission(cron, permission):
    record()
    client = client_with(permission)
    pages = [reverse(LIST), reverse(ADD), page_of(cron), "/admin/"]
    pages += [page_of(cron).replace("change", each) for each in ("delete", "history")]
    assert client.get("/admin/django_scheduler/").status_code in (200, 404)
    for url in [*pages, *(f"/admin/django_scheduler/{name}/" for name in ("overview", "scheduledfunction"))]:
        assert client.get(url).status_code in (200, 302, 403), url


@pytest.mark.once
def test_to_change_a_cron_is_to_change_its_times_and_not_what_it_calls(cron):
    client = client_with("change_cron")
    text = client.get(page_of(cron)).content.decode()
    assert 'name="line"' in text
    assert 'name="function"' not in text
    assert 'name="args"' not in text
    assert "tests:tick" in text
    assert client.post(page_of(cron), ENTERED).status_code == 302
    assert calls() == [("a cron", "tests:tick", {"label": "code's"})]
    assert ctx.crons.get("a cron").line == "0 6 * * *"


@pytest.mark.once
def test_the_next_runs_are_previewed_without_the_fields_that_are_not_theirs(cron):
    response = client_with("change_cron").post(page_of(cron), {**ENTERED, "_preview": "1"})
    assert len(response.context["next_runs"]) == 5
    assert ctx.crons.get("a cron").line == "0 9 * * *"


@pytest.mark.once
def test_who_may_run_it_too_changes_what_it_calls(cron):
    assert client_with("change_cron", "run_cron").post(page_of(cron), ENTERED).status_code == 302
    assert calls() == [("a cron", "tests:note", {"label": "mine"})]


@pytest.mark.once
def test_registering_takes_the_permission_to_run_and_to_see(cron):
    entered = {"name": "mine", **ENTERED}
    assert client_with("add_cron", "run_cron").post(reverse(ADD), entered).status_code == 403
    assert client_with("add_cron", "run_cron", "view_cron").post(reverse(ADD), entered).status_code == 302
    assert ctx.crons.get("mine").function == "tests:note"


@pytest.mark.once
@pytest.mark.parametrize(
    ("permission", "verb"), [("run_cron", "run_now"), ("pause_cron", "pause"), ("pause_cron", "resume")]
)
def test_acting_takes_the_permission_to_see(cron, permission, verb):
    assert client_with(permission).post(address(cron, verb)).status_code == 403
    assert client_with(permission).get(address(cron, verb)).status_code == 403
    assert client_with(permission, "view_cron").post(address(cron, verb)).status_code == 302


@pytest.mark.once
def test_deleting_does_not(cron):
    delete = page_of(cron).replace("change", "delete")
    assert client_with("delete_cron").post(delete, {"post": "yes"}).status_code == 302
    assert not Cron.objects.exists()


@pytest.mark.once
class TestOfAFunctionThatIsKeptOutOfTheAdmin:
    @pytest.fixture
    def kept_out(self) -> Cron:
        return ctx.crons.register("kept out", crons.Interval(minutes=10), tick_by_code_alone, label="code's")

    def test_it_is_not_among_the_choices(self, admin_client):
        text = admin_client.get(reverse(ADD)).content.decode()
        assert '<option value="tests:tick">' in text
        assert "tests:tick_by_code_alone" not in text
        entered = {"name": "mine", **ENTERED, "function": "tests:tick_by_code_alone"}
        assert "valid choice" in str(admin_client.post(reverse(ADD), entered).context["errors"])
        assert not Cron.objects.exists()

    def test_its_cron_has_its_times_changed_and_not_what_it_calls(self, admin_client, kept_out):
        text = admin_client.get(page_of(kept_out)).content.decode()
        assert 'name="args"' not in text
        assert "Run now" not in text
        for function in ("tests:note", "tests:tick_by_code_alone"):
            assert admin_client.post(page_of(kept_out), {**ENTERED, "function": function}).status_code == 302
            assert calls() == [("kept out", "tests:tick_by_code_alone", {"label": "code's"})]
        assert ctx.crons.get("kept out").line == "0 6 * * *"

    def test_it_is_not_run_now(self, admin_client, cron, kept_out):
        assert admin_client.post(address(kept_out, "run_now")).status_code == 403
        both = {"action": "run_selected_now", "_selected_action": [cron.pk, kept_out.pk]}
        response = admin_client.post(reverse(LIST), both, follow=True)
        assert any("kept out" in message for message in messages_of(response))
        assert [function.name for function in ScheduledFunction.objects.all()] == ["tests:tick"]

    def test_it_is_not_run_again(self, admin_client):
        function = record(name="tests:tick_by_code_alone")
        act = reverse("admin:django_scheduler_scheduledfunction_act")
        data = {"action": "run_again", "id": [function.pk], "confirmed": "1"}
        [message] = messages_of(admin_client.post(act, data, follow=True))
        assert "kept out of the admin" in message
        assert ScheduledFunction.objects.count() == 1

    def test_code_schedules_it(self, kept_out):
        ctx.crons.run_now("kept out")
        ctx.scheduler.run_after(0, tick_by_code_alone)
        assert ScheduledFunction.objects.count() == 2


@pytest.fixture
def in_code(cron: Cron) -> Cron:
    Cron.objects.update(origin="code")
    cron.refresh_from_db()
    return cron


@pytest.mark.once
def test_who_deletes_what_the_code_defines_is_told_why_it_stays(admin_client, in_code):
    why = "a cron is defined in code, so it cannot be deleted here"
    for data in ({}, {"post": "yes"}):
        selected = {"action": "delete_selected", "_selected_action": [in_code.pk], **data}
        text = admin_client.post(reverse(LIST), selected).content.decode()
        assert why in text
        assert "permission" not in text
        response = admin_client.post(page_of(in_code).replace("change", "delete"), data, follow=True)
        assert why in messages_of(response)[0]
    assert Cron.objects.count() == 1


@pytest.mark.once
def test_whoever_may_not_delete_is_refused_as_ever(in_code):
    delete = page_of(in_code).replace("change", "delete")
    assert client_with("view_cron").post(delete, {"post": "yes"}).status_code == 403
    assert client_with("delete_cron").post(delete, {"post": "yes"}).headers["Location"] == "/admin/"
    assert Cron.objects.count() == 1


@pytest.mark.once
@pytest.mark.parametrize("query", [
    "args__api_key__startswith=s", "args__api_key=sesame", "args__label=x", "args__contains={}", "args=1", "args__0=1",
    "name__regex=^(a%2B)%2B$", "name__startswith=a", "function__iregex=a", "origin__in=code", "name__gt=a", "id__in=1",
    "last_run__function__args__api_key__startswith=s", "runs__function__args__label=x", "runs__error__contains=a",
    "last_run__state=failed", "name__length__gt=1", "pk__gt=1", "nothing=1", "name__exact__exact=a",
])  # fmt: skip
def test_an_address_takes_no_lookup_but_a_few_exact_ones(admin_client, cron, query):
    response = admin_client.get(f"{reverse(LIST)}?{query}")
    assert response.status_code == 400


def test_the_others_find_it(admin_client, cron):
    for query in (
        "name=a+cron", "name__exact=a+cron", "function=tests:tick", "origin__exact=run_time", "state=active", "q=tick",
        "o=1", "o=-7.2", "o=99",
    ):  # fmt: skip
        assert page_of(cron) in admin_client.get(f"{reverse(LIST)}?{query}").content.decode(), query


@pytest.mark.once
def test_so_do_those_that_are_no_lookup(admin_client, cron):
    for query in ("p=1", "_facets=True", "_popup=1", "_to_field=id", "all=", "e=1"):
        assert page_of(cron) in admin_client.get(f"{reverse(LIST)}?{query}").content.decode(), query


def test_what_no_database_takes_is_answered_by_the_page_that_says_so(admin_client, cron):
    for query in (
        "name=%00", "name__exact=a%00b", "function=%00", "q=%00", "state=%00", "%00=1", "o=%00", "p=%00", "origin=%00",
        "&".join(["name=a"] * 900),
    ):  # fmt: skip
        response = admin_client.get(f"{reverse(LIST)}?{query}", follow=True)
        assert response.status_code == 200, query
        assert messages_of(response) == ["This filter is not understood."], query


def test_every_other_address_has_an_answer(admin_client, cron):
    for query in (
        "q=" + "a+" * 3_000, "q=" + "%25" * 60_000, "id=" + "9" * 30, "id=x", "pk=" + "9" * 5_000,
        "name=" + "a" * 100_000, "origin__exact=" + "9" * 5_000,
    ):  # fmt: skip
        assert admin_client.get(f"{reverse(LIST)}?{query}", follow=True).status_code == 200, query[:40]


@pytest.mark.once
def test_so_has_every_address_that_asks_for_no_lookup(admin_client, cron):
    for query in ("p=" + "9" * 5_000, "o=" + "1." * 2_000, "state=unheard-of", "e=1&id=x"):
        assert admin_client.get(f"{reverse(LIST)}?{query}", follow=True).status_code == 200, query[:40]


def test_lists_of_choices_on_other_pages_search_crons_by_their_words(cron, rf):
    admin = site.get_model_admin(Cron)
    for term, number in {"tick": 1, "\0": 0, "\ud800": 0, "x " * 2_000: 0, "%": 0, "code's": 0}.items():
        found, _ = admin.get_search_results(rf.get("/"), Cron.objects.all(), term)
        assert len(found) == number, term


def test_a_state_that_there_is_not_shows_nothing(admin_client, cron):
    assert page_of(cron) not in admin_client.get(f"{reverse(LIST)}?state=unheard-of").content.decode()


def test_an_id_that_is_none_is_no_cron(admin_client, cron):
    for pk in ("9" * 30, "9" * 5_000, "x", "_00", "0", "-1", "1.5"):
        for page in ("change", "delete", "history"):
            status = admin_client.get(f"/admin/django_scheduler/cron/{pk}/{page}/").status_code
            assert status in (302, 404), (pk[:40], page)
        assert admin_client.post(f"/admin/django_scheduler/cron/{pk}/act/pause/").status_code == 404, pk[:40]


@pytest.mark.once
def test_the_docs_say_of_every_permission_that_can_be_given_what_it_amounts_to():
    codenames = Permission.objects.filter(content_type__app_label="django_scheduler").values_list("codename", flat=True)
    _, _, text = (ROOT / "docs/security.md").read_text().partition("## What each permission amounts to")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == {*codenames}
