"""What somebody may do in the admin, as the answers to all that its pages can be asked."""

from collections.abc import Iterator
from typing import Any

from django.contrib.auth.models import Permission
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from django_scheduler import crons, ctx
from django_scheduler.crons.models import Cron
from django_scheduler.models import Limit, ScheduledFunction, Slot, State
from tests.admin.conftest import record
from tests.crons.functions import tick

APP = "admin:django_scheduler_"

#: Which permissions have been asked for since it was emptied.
asked: set[str] = set()


class Listens:
    """Is a backend of authentication that notes what is asked for, and says nothing."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        app, _, codename = perm.partition(".")
        if app == "django_scheduler":
            asked.add(codename)
        return False


def permissions() -> set[str]:
    """Those that can be given to somebody."""
    found = Permission.objects.filter(content_type__app_label="django_scheduler")
    return set(found.values_list("codename", flat=True))


def set_up() -> None:
    """Put something on record for each action: a cron, a function in each state, and a slot that an action holds."""
    ctx.crons.register("a cron", crons.Daily(hour=9, minute=0, timezone="UTC"), tick, label="code's")
    for state in State:
        function = record(state)
        if state == State.IN_PROGRESS:
            Slot.objects.create(limit="bank", number=1, taken=1, function=function, attempt=1, executor="gone")
    Limit.objects.create(name="bank", number=1, changed_time=function.creation_time)


def possible(client: Client) -> dict[str, str]:
    """What each request is answered: whether it is refused, and what can be chosen on the page that it leads to.

    Nothing is done by it: whatever asks for a confirmation is not confirmed, and the rest is asked by GET.
    """
    return dict(answers(client))


def answers(client: Client) -> Iterator[tuple[str, str]]:
    """One answer after the other, each as soon as it is there."""
    return ((name, _answer(response)) for name, response in _requests(client))


def _answer(response: HttpResponse) -> str:
    if response.status_code in (403, 404):
        return "refused"
    if response.status_code == 302:
        return "led elsewhere"
    text = response.content.decode()
    begins, _, page = text.partition('id="content"')
    can_be_chosen = ("<button", "<input", "<option", "<select", "deletelink", "addlink")
    return " ".join(str((page or begins).count(each)) for each in can_be_chosen)


def _requests(client: Client) -> Iterator[tuple[str, Any]]:
    cron = Cron.objects.get()
    slot = Slot.objects.get()
    pending = ScheduledFunction.objects.filter(state=State.PENDING).latest("pk")
    yield "first page", client.get(reverse("admin:app_list", args=["django_scheduler"]))
    for page in ("overview", "scheduledfunction", "cron"):
        yield f"list of {page}", client.get(reverse(f"{APP}{page}_changelist"))
        yield f"add {page}", client.get(reverse(f"{APP}{page}_add"))
    for page in ("overview_batches", "overview_limits"):
        yield page, client.get(reverse(APP + page))
    for model, pk in (("scheduledfunction", pending.pk), ("cron", cron.pk), ("overview", pending.pk)):
        for page in ("change", "delete", "history"):
            yield f"{page} {model}", client.get(reverse(f"{APP}{model}_{page}", args=[pk]))
    for action in ("cancel", "run_now", "reschedule", "run_again", "delete_selected"):
        yield action, client.post(reverse(f"{APP}scheduledfunction_act"), {"action": action, "id": [pending.pk]})
    for verb in ("pause", "resume", "run_now"):
        yield f"{verb} cron", client.get(reverse(f"{APP}cron_act", args=[cron.pk, verb]))
    selected = {"action": "delete_selected", "_selected_action": [cron.pk]}
    yield "delete crons", client.post(reverse(f"{APP}cron_changelist"), selected)
    yield "pause queue", client.post(reverse(f"{APP}overview_pause"), {"queue": "default"})
    yield "change limit", client.post(reverse(f"{APP}overview_change_limit"), {"name": "bank"})
    of_slot = {"slot": slot.pk, "function": slot.function_id, "attempt": 1}
    yield "release slot", client.post(reverse(f"{APP}overview_release_slot"), of_slot)
