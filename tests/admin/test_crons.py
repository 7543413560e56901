"""What the admin shows of crons, who may act on them, and how they are registered there."""

import json
import re
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_scheduler import crons, ctx
from django_scheduler.crons.models import Cron, CronRun, CronState
from django_scheduler.masking import BULLETS
from django_scheduler.models import ScheduledFunction
from tests.admin.conftest import client_with
from tests.crons.functions import tick, tick_for_all, tick_with_secrets

pytestmark = pytest.mark.django_db

LIST = "admin:django_scheduler_cron_changelist"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def cron() -> Cron:
    return ctx.crons.register("a cron", crons.Daily(hour=9, minute=0, timezone="Asia/Tokyo"), tick, label=HOSTILE)


@pytest.fixture
def in_code(cron: Cron) -> Cron:
    Cron.objects.update(origin="code")
    cron.refresh_from_db()
    return cron


def page_of(cron: Cron) -> str:
    return reverse("admin:django_scheduler_cron_change", args=[cron.pk])


def act(client: Client, cron: Cron, verb: str, **data: str):
    return client.post(reverse("admin:django_scheduler_cron_act", args=[cron.pk, verb]), data)


def entered(**changes: object) -> dict[str, object]:
    return {
        "name": "another cron",
        "function": "tests:tick",
        "args": '{"label": "x"}',
        "every": "",
        "line": "0 9 * * mon-fri",
        "timezone": "Europe/Berlin",
        "catch_up": "one",
        "pause_after_failures": "",
        **changes,
    }


def errors(response) -> str:
    return " ".join(str(error) for each in response.context["errors"] for error in each)


def test_the_list_shows_schedule_zone_and_the_last_run_in_one_query_for_all(
    admin_client, cron, django_assert_max_num_queries
):
    for number in range(10):
        ctx.crons.register(f"every {number}", crons.Interval(minutes=10), tick)
        ctx.crons.run_now(f"every {number}")
    with django_assert_max_num_queries(8):
        page = admin_client.get(reverse(LIST)).content.decode()
    assert "At 09:00 every day (Asia/Tokyo)" in page
    assert page.count("every 10 minutes") == 10
    assert len(re.findall(r"</svg>scheduled</span>\s*<time", page)) == 10


@pytest.mark.parametrize("state", CronState.values)
def test_the_list_is_filtered_by_state(admin_client, cron, state):
    for name in ("removed", "paused"):
        ctx.crons.register(name, crons.Interval(minutes=10), tick)
        ctx.crons.pause(name)
    Cron.objects.filter(name="removed").update(removed_time=timezone.now())
    page = admin_client.get(reverse(LIST), {"state": state}).content.decode()
    found = re.findall(r"/change/[^>]*>(a cron|paused|removed)</a>", page)
    assert found == [{"active": "a cron"}.get(state, state)]


@pytest.mark.once
def test_the_page_shows_the_next_runs_in_the_crons_zone_and_in_the_viewers(admin_client, cron):
    page = admin_client.get(page_of(cron)).content.decode()
    assert len(re.findall(r"<td>[-0-9]+ 09:00:00 \+0900</td><td>[-0-9]+ 00:00:00 \+0000</td>", page)) == 5


@pytest.mark.once
def test_the_page_shows_runs_and_skips_with_a_link_to_the_function(admin_client, cron):
    function_id = ctx.crons.run_now(cron.name)
    hour = timedelta(hours=1)
    now = timezone.now()
    CronRun.objects.create(cron=cron, slot=now, last_slot=now + 2 * hour, slots=3, state="skipped", time=now)
    CronRun.objects.create(cron=cron, slot=now - hour, state="refused", time=now, error=HOSTILE, function_id=99)
    page = admin_client.get(page_of(cron)).content.decode()
    assert f'href="/admin/django_scheduler/scheduledfunction/{function_id}/change/"' in page
    assert "3 in all" in page
    assert "skipped, the previous run was unfinished" in page
    assert "could not be scheduled" in page
    assert "/99/change/" not in page
    assert HOSTILE not in page


def test_a_cron_is_registered_with_a_function_that_is_chosen_and_arguments_in_json(admin_client):
    url = reverse("admin:django_scheduler_cron_add")
    page = admin_client.get(url).content.decode()
    assert '<option value="tests:tick">' in page
    assert '<option value="Europe/Berlin">' in page

    assert admin_client.post(url, entered()).status_code == 302
    cron = ctx.crons.get("another cron")
    assert (cron.origin, cron.function, cron.args) == ("run_time", "tests:tick", {"label": "x"})
    assert (cron.line, cron.timezone, cron.catch_up) == ("0 9 * * mon-fri", "Europe/Berlin", "one")
    assert cron.next_time is not None
    assert LogEntry.objects.get().object_id == str(cron.pk)


def test_an_interval_and_arguments_of_every_type_can_be_entered(admin_client):
    names = '{"names": {"$set": ["a", "b"]}}'
    data = entered(
        function="tests:tick_for_all", args=names, line="", every="00:10:00", catch_up="all", pause_after_failures="3"
    )
    assert admin_client.post(reverse("admin:django_scheduler_cron_add"), data).status_code == 302
    cron = ctx.crons.get("another cron")
    assert (cron.every, cron.catch_up, cron.pause_after_failures) == (timedelta(minutes=10), "all", 3)
    ctx.crons.run_now("another cron")
    assert ScheduledFunction.objects.get().decoded_args() == {"names": {"a", "b"}}


@pytest.mark.once
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"line": "0 0 30 2 *"}, "is not valid"),
        ({"line": "nonsense"}, "needs five"),
        ({"every": "00:10:00"}, "either an interval or a cron line"),
        ({"line": ""}, "either an interval or a cron line"),
        ({"line": "", "every": "00:00:00.5"}, "lasts from a second"),
        ({"line": "", "every": "often"}, "valid duration"),
        ({"args": '{"lable": "x"}'}, "unexpected keyword argument"),
        ({"args": "[]"}, "not a JSON object"),
        ({"args": "5"}, "not a JSON object"),
        ({"args": "{"}, "valid JSON"),
        ({"args": '{"label": {"$enum": ["os:system", "x"]}}'}, "label"),
        ({"args": '{"label": {"$enum": ["tests.nowhere:Color", "x"]}}'}, "not loaded here"),
        ({"args": '{"label": {"$model": ["tests.nothing", 1, "default"]}}'}, "no model tests.nothing"),
        ({"function": "os:system"}, "valid choice"),
        ({"function": "tests.functions.tick"}, "valid choice"),
        ({"timezone": "Europe/Atlantis"}, "valid choice"),
        ({"catch_up": "sometimes"}, "valid choice"),
        ({"name": "Käse"}, "printable ASCII"),
        ({"name": "a cron"}, "of this name already"),
        ({"name": "A Cron"}, "of this name already"),
        ({"name": ""}, "required"),
        ({"pause_after_failures": "0"}, "positive whole number"),
    ],
)
def test_what_cannot_be_is_an_error_in_the_form_and_nothing_is_written(admin_client, cron, changes, error):
    response = admin_client.post(reverse("admin:django_scheduler_cron_add"), entered(**changes))
    assert response.status_code == 200
    assert error in errors(response)
    assert Cron.objects.count() == 1


@dataclass
class Noticed:
    label: str

    def __post_init__(self) -> None:
        raise AssertionError("a form has constructed it")


@pytest.mark.once
@pytest.mark.parametrize("button", ["_preview", "_save"])
@pytest.mark.parametrize("change", [False, True])
def test_arguments_are_checked_without_being_restored(admin_client, cron, change, button):
    args: dict[str, object] = {
        "label": [
            {"$dataclass": [f"{__name__}:Noticed", {"label": "x"}]},
            {"$model": ["tests.entry", 4711, "default"]},  # whether there is such a row is not told
        ]
    }
    url = page_of(cron) if change else reverse("admin:django_scheduler_cron_add")
    response = admin_client.post(url, entered(args=json.dumps(args), **{button: "1"}))
    if button == "_preview":
        assert "Please correct" not in response.content.decode()
    else:
        assert response.status_code == 302
        assert ctx.crons.get("a cron" if change else "another cron").args == args


@pytest.mark.once
@pytest.mark.parametrize("change", [False, True])
def test_the_next_five_runs_are_previewed_and_nothing_is_saved(admin_client, cron, change):
    url = page_of(cron) if change else reverse("admin:django_scheduler_cron_add")
    page = admin_client.post(url, entered(_preview="Preview", line="30 6 * * *")).content.decode()
    assert len(re.findall(r"<td>[-0-9]+ 06:30:00 \+0[12]00</td><td>[-0-9]+ 0[45]:30:00 \+0000</td>", page)) == 5
    assert "Please correct" not in page
    assert 'value="30 6 * * *"' in page
    assert Cron.objects.get().line == "0 9 * * *"
    response = admin_client.post(url, entered(_preview="Preview", line="0 0 30 2 *"))
    assert "is not valid" in errors(response)


def test_a_cron_that_was_registered_at_run_time_is_changed_but_not_its_name(admin_client, cron):
    response = admin_client.post(page_of(cron), entered(line="30 6 * * *", timezone="UTC", args="{}"))
    assert response.status_code == 302
    cron.refresh_from_db()
    assert (cron.name, cron.line, cron.args) == ("a cron", "30 6 * * *", {})
    assert cron.next_time is not None
    assert (cron.next_time.hour, cron.next_time.minute) == (6, 30)


@pytest.mark.once
def test_a_cron_of_the_code_can_be_looked_at_and_paused_but_neither_changed_nor_deleted(admin_client, in_code):
    page = admin_client.get(page_of(in_code)).content.decode()
    assert 'name="line"' not in page
    assert "Run now" in page
    assert admin_client.post(page_of(in_code), entered()).status_code == 403
    delete = reverse("admin:django_scheduler_cron_delete", args=[in_code.pk])
    admin_client.post(delete, {"post": "yes"})
    in_code.refresh_from_db()
    assert in_code.line == "0 9 * * *"
    assert act(admin_client, in_code, "pause").status_code == 302
    assert ctx.crons.get("a cron").state is CronState.PAUSED


@pytest.mark.once
def test_one_that_is_no_longer_in_the_code_can_be_deleted_and_not_run(admin_client, in_code):
    Cron.objects.update(removed_time=timezone.now(), next_time=None)
    assert "Run now" not in admin_client.get(page_of(in_code)).content.decode()
    page = admin_client.get(act(admin_client, in_code, "run_now").url).content.decode()
    assert "no longer in the code" in page
    assert not ScheduledFunction.objects.exists()
    delete = reverse("admin:django_scheduler_cron_delete", args=[in_code.pk])
    assert admin_client.post(delete, {"post": "yes"}).status_code == 302
    assert not Cron.objects.exists()


def test_a_cron_is_deleted_with_its_history(admin_client, cron):
    ctx.crons.run_now(cron.name)
    selected = {"action": "delete_selected", "_selected_action": [cron.pk], "post": "yes"}
    assert admin_client.post(reverse(LIST), selected).status_code == 302
    assert not Cron.objects.exists()
    assert not CronRun.objects.exists()


def test_it_is_paused_with_a_reason_and_resumed_and_run_and_all_is_logged(admin_client, cron):
    act(admin_client, cron, "pause", reason="we are moving")
    assert ctx.crons.get("a cron").paused_reason == "we are moving"
    page = admin_client.get(page_of(cron)).content.decode()
    assert "we are moving" in page
    assert "Resume" in page
    act(admin_client, cron, "resume")
    assert ctx.crons.get("a cron").state is CronState.ACTIVE
    act(admin_client, cron, "run_now")
    function = ScheduledFunction.objects.get()
    act(admin_client, cron, "run_now")
    assert ScheduledFunction.objects.count() == 1
    assert [entry.change_message for entry in LogEntry.objects.order_by("pk")] == [
        "Paused: we are moving",
        "Resumed.",
        f"Scheduled to run now: {function.pk}.",
    ]


def test_selected_crons_are_paused_resumed_and_run(admin_client, cron):
    ctx.crons.register("another cron", crons.Interval(minutes=10), tick)
    both = list(Cron.objects.values_list("pk", flat=True))

    def act(action):
        admin_client.post(reverse(LIST), {"action": action, "_selected_action": both})
        return {each.state for each in Cron.objects.all()}

    assert act("pause_selected") == {CronState.PAUSED}
    assert ctx.crons.get("a cron").paused_reason == "by admin"
    assert act("resume_selected") == {CronState.ACTIVE}
    act("run_selected_now")
    assert ScheduledFunction.objects.count() == 2


@pytest.mark.once
@pytest.mark.parametrize("verb", ["pause", "resume", "run_now"])
def test_a_user_who_may_only_look_changes_nothing(cron, verb):
    client = client_with("view_cron")
    page = client.get(page_of(cron)).content.decode()
    assert "At 09:00" in page
    assert "/act/" not in page
    assert act(client, cron, verb).status_code == 403
    assert client.post(page_of(cron), entered()).status_code == 403
    assert client.get(reverse("admin:django_scheduler_cron_add")).status_code == 403
    client.post(reverse(LIST), {"action": "pause_selected", "_selected_action": [cron.pk]})
    client.post(reverse(LIST), {"action": "run_selected_now", "_selected_action": [cron.pk]})
    assert ctx.crons.get("a cron").state is CronState.ACTIVE
    assert not ScheduledFunction.objects.exists()


@pytest.mark.once
def test_permissions_to_pause_and_to_run_are_given_one_by_one(cron):
    client = client_with("view_cron", "pause_cron")
    assert act(client, cron, "pause").status_code == 302
    assert act(client, cron, "run_now").status_code == 403
    assert not ScheduledFunction.objects.exists()


@pytest.mark.once
def test_acting_takes_a_post_and_a_token(admin_client, cron):
    url = reverse("admin:django_scheduler_cron_act", args=[cron.pk, "pause"])
    assert admin_client.get(url).url == page_of(cron)  # where a new sign-in leads
    assert admin_client.put(url).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="admin"))
    assert strict.post(url).status_code == 403
    assert Client().post(url).status_code == 302  # to the login page
    assert act(admin_client, cron, "explode").status_code == 404
    assert admin_client.post(url.replace(str(cron.pk), "0")).status_code == 404
    assert ctx.crons.get("a cron").state is CronState.ACTIVE


@pytest.mark.once
def test_nothing_on_the_pages_needs_a_script_or_style_of_the_page_itself(admin_client, cron):
    for url in (page_of(cron), reverse("admin:django_scheduler_cron_add"), reverse(LIST)):
        page = admin_client.get(url).content.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)|<style|\sstyle=|\son\w+=", page)


@pytest.mark.once
def test_a_cron_whose_schedule_cannot_be_computed_can_still_be_looked_at(admin_client, cron):
    Cron.objects.update(timezone="Europe/Atlantis")
    assert admin_client.get(page_of(cron)).status_code == 200
    assert admin_client.get(reverse(LIST)).status_code == 200


@pytest.fixture
def with_secrets() -> Cron:
    daily = crons.Daily(hour=9, minute=0)
    more = [{"password": "hunter3"}]
    return ctx.crons.register("with secrets", daily, tick_with_secrets, label="x", token="hunter2", more=more)


@pytest.mark.once
@pytest.mark.parametrize("permission", ["view_cron", "change_cron"])
def test_secrets_among_the_arguments_are_not_shown(with_secrets, permission):
    page = client_with(permission).get(page_of(with_secrets)).content.decode()
    assert "hunter" not in page
    assert BULLETS in page


@pytest.mark.once
def test_arguments_that_are_sets_are_shown_as_they_are_entered(admin_client):
    cron = ctx.crons.register("with a set", crons.Interval(minutes=1), tick_for_all, names={"a"})
    page = admin_client.get(page_of(cron)).content.decode()
    assert "{&quot;names&quot;: {&quot;$set&quot;: [&quot;a&quot;]}}" in page
