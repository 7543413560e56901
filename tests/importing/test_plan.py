"""What an import does about entries, whatever they come from."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from io import StringIO
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command

from django_scheduler import Context, crons, ctx, internal_mutation
from django_scheduler.crons.definitions import Definitions
from django_scheduler.crons.models import Cron
from django_scheduler.importing.entries import ContinuedInterval, Entry, LeftOut, Read, Refused, read_each
from django_scheduler.models import ScheduledFunction
from tests.crons.functions import tick, tick_for_all
from tests.models import Entry as Line

pytestmark = pytest.mark.django_db(transaction=True)

NINE = crons.CronLine("0 9 * * *", timezone="UTC")


def entry(name: str = "nine", task: str = "shop.tasks.tick", **fields: Any) -> Entry:
    return Entry(**{"name": name, "task": task, "when": NINE, "id": f"a row {name}", **fields})


@pytest.fixture
def entries(monkeypatch) -> list[Read]:
    """What a source has, in the place of django-q2."""
    found: list[Read] = []
    monkeypatch.setattr("django_scheduler.importing.django_q2.read", lambda now: found)
    monkeypatch.setattr("django_scheduler.crons.definitions.defined_crons", Definitions())
    return found


def importcrons(*arguments: str) -> str:
    output = StringIO()
    call_command("importcrons", "django-q2", *arguments, stdout=output, stderr=output, no_color=True)
    return output.getvalue()


def tomorrow() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)


def test_nothing_changes_without_apply(entries):
    entries += [entry(), entry("once", when=tomorrow())]
    assert "Of 2 entries: 2 written as Python." in importcrons()
    assert not Cron.objects.exists()
    assert not ScheduledFunction.objects.exists()


def test_applied_crons_are_those_of_run_time(entries):
    entries += [entry(kwargs={"label": "tock"}), entry("off", paused=True)]
    assert "Of 2 entries: 2 imported." in importcrons("--apply")
    nine, off = Cron.objects.order_by("name")
    assert (nine.function, nine.args, nine.line, nine.origin) == (tick.name, {"label": "tock"}, "0 9 * * *", "run_time")
    assert nine.next_time
    assert off.paused_time
    assert off.next_time is None


def test_an_interval_keeps_the_grid_that_it_had(entries, execute_due):
    begin = datetime.now(UTC) - timedelta(hours=10, minutes=20)
    entries.append(entry(when=ContinuedInterval(crons.Interval(hours=1), begin=begin)))
    importcrons("--apply")
    execute_due()
    assert not Line.objects.exists()  # a new interval would have begun at once
    cron = ctx.crons.get("nine")
    assert cron.next_time == cron.anchor
    assert (cron.next_time - begin) % timedelta(hours=1) == timedelta(0)
    assert timedelta(0) < cron.next_time - datetime.now(UTC) <= timedelta(minutes=40)


def test_a_cron_that_says_something_else_is_left_as_it_is(entries):
    ctx.crons.register("Nine", crons.CronLine("0 9 * * *", timezone="UTC"), tick, label="mine")
    entries.append(entry())
    with pytest.raises(CommandError, match="Of 1 entries: 1 cannot be imported"):
        importcrons("--apply")
    assert ctx.crons.get("Nine").args == {"label": "mine"}
    assert "another args and another name" in _output_of_refusal()


def _output_of_refusal() -> str:
    output = StringIO()
    with pytest.raises(CommandError):
        call_command("importcrons", "django-q2", stdout=output, stderr=output)
    return " ".join(output.getvalue().split()).replace("# ", "")


def test_what_the_code_defines_is_there(entries):
    crons.register("nine", NINE, tick)
    entries.append(entry())
    assert "'nine' is here already." in importcrons("--apply")
    assert not Cron.objects.filter(origin="run_time").exists()


def test_a_cron_that_is_no_longer_in_the_code_does_not_count_as_imported(entries, monkeypatch):
    crons.register("nine", NINE, tick)
    call_command("synccrons", stdout=StringIO())
    monkeypatch.setattr("django_scheduler.crons.definitions.defined_crons", Definitions())
    call_command("synccrons", stdout=StringIO())
    entries.append(entry())
    assert "no longer in the code. Put it back, or delete it" in _output_of_refusal()


def test_the_code_imports_what_it_uses_and_nothing_else(entries):
    entries += [entry(), entry("once", when=tomorrow(), kwargs={"label": "decimal. uuid."})]
    code = importcrons()
    assert code.startswith("from django_scheduler import api, crons\n\ncrons.register(")
    assert "# import datetime\n# from django_scheduler import api, ctx\n" in code


def test_two_entries_of_one_name_are_not_one_cron(entries):
    entries += [entry(), entry("NINE", when=crons.CronLine("0 10 * * *", timezone="UTC"))]
    with pytest.raises(CommandError, match="Of 2 entries: 1 imported, 1 cannot be imported"):
        importcrons("--apply")
    assert ctx.crons.get("nine").line == "0 9 * * *"


def test_what_runs_once_is_scheduled_once_also_after_it_has_run_early(entries, execute_due):
    entries.append(entry("once", when=tomorrow(), kwargs={"label": "once"}))
    assert "Scheduled 'once'" in importcrons("--apply")
    ctx.scheduler.run_now(ScheduledFunction.objects.get().pk)
    execute_due()
    assert Line.objects.count() == 1
    assert "'once' is here already." in importcrons("--apply")
    assert ScheduledFunction.objects.count() == 1


def test_what_runs_once_expires_as_it_did(entries):
    when = tomorrow()
    entries += [
        entry("a length", when=when, expires=timedelta(hours=2)),
        entry("a time", when=when, expires=when + timedelta(hours=2)),
    ]
    assert "not carried over" not in importcrons("--apply")
    assert {*ScheduledFunction.objects.values_list("expires_time")} == {(when + timedelta(hours=2),)}


def test_the_code_of_what_runs_once_has_its_expiry(entries):
    entries.append(entry("once", when=tomorrow(), expires=timedelta(hours=2)))
    assert ", expires=datetime.timedelta(seconds=7200)).run_at(" in importcrons()


def test_what_runs_once_and_cannot_expire_so_is_refused(entries):
    entries.append(entry("once", when=tomorrow(), expires=timedelta(0)))
    assert "'once' cannot be imported." in _output_of_refusal()


def test_what_runs_once_at_another_time_is_another_one(entries):
    entries.append(entry("once", when=tomorrow()))
    importcrons("--apply")
    entries[:] = [entry("once", when=tomorrow() + timedelta(days=1))]
    importcrons("--apply")
    assert ScheduledFunction.objects.count() == 2


def test_what_runs_once_counts_as_scheduled_in_bulk(entries, settings):
    settings.DJANGO_SCHEDULER = {"MAX_SCHEDULED_PER_TRANSACTION": 1}
    entries += [entry("once", when=tomorrow()), entry("twice", when=tomorrow())]
    assert "2 imported" in importcrons("--apply")


def test_one_transaction_has_all_of_an_import_or_nothing(entries, settings):
    settings.DJANGO_SCHEDULER = {"MAX_BULK_SCHEDULED_PER_TRANSACTION": 1}
    entries += [entry(), entry("once", when=tomorrow()), entry("twice", when=tomorrow())]
    with pytest.raises(CommandError, match=r"^Nothing was imported\. "):
        importcrons("--apply")
    assert not Cron.objects.exists()
    assert not ScheduledFunction.objects.exists()


def test_every_entry_is_accounted_for(entries):
    entries += [entry(), Refused("sunset", "It follows the sun."), LeftOut("done", "It has run.")]
    output = StringIO()
    with pytest.raises(CommandError, match="Of 3 entries: 1 written as Python, 1 left out, 1 cannot be imported"):
        call_command("importcrons", "django-q2", stdout=output)
    assert "# 'sunset' cannot be imported. It follows the sun.\n" in output.getvalue()
    assert "# 'done' is left out. It has run.\n" in output.getvalue()


def test_only_the_entries_that_are_named_are_imported(entries):
    entries += [entry(), entry("ten"), entry("eleven")]
    importcrons("ten", "--apply")
    assert [cron.name for cron in ctx.crons.list()] == ["ten"]
    with pytest.raises(CommandError, match=r"django-q2 has no entry 'elven'. Did you mean 'eleven'\?"):
        importcrons("elven")


def test_a_name_that_no_cron_can_have_is_refused(entries):
    entries.append(entry("früh"))
    with pytest.raises(CommandError):
        importcrons("--apply")
    assert "printable ASCII" in _output_of_refusal()


def test_arguments_by_position_for_a_function_that_takes_names_are_refused_with_what_to_do(entries):
    entries.append(entry(args=("tock",)))
    said = _output_of_refusal()
    assert "tests:tick(*, label: str = 'tick') -> None cannot be called like this" in said
    assert "given by position (('tock',)), and the function takes them by name: give their names there, or" in said


def test_of_several_functions_of_one_name_the_task_names_the_app_or_the_map_does(entries):
    @internal_mutation(name="archive_order")
    def archive(ctx: Context, *, order_id: int) -> None: ...

    entries.append(entry(task="shop.tasks.archive_order", kwargs={"order_id": 7}))
    assert "Say which: --map shop.tasks.archive_order=" in _output_of_refusal()
    entries[:] = [entry(task="orders.tasks.archive_order", kwargs={"order_id": 7})]
    assert "internal.orders.archive_order" in importcrons()
    assert "internal.tests.archive_order" in importcrons("--map", "orders.tasks.archive_order=tests:archive_order")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--map", "tick"], "'tick' maps nothing. Write --map orders.tasks.send_mail=orders:send_mail"),
        (["--map", "a.tick=tests:tack"], "There is no mutation or action 'tests:tack'"),
        (["--app", "shop.celery"], "--app is for celery: django-q2 has tables, and no app"),
        (["--database", "nowhere"], "nowhere"),
    ],
)
def test_wrong_options_of_an_import_are_refused(entries, arguments, said):
    entries.append(entry())
    with pytest.raises(CommandError, match=said):
        importcrons(*arguments)


def test_a_map_of_a_task_that_no_entry_runs_is_said(entries):
    entries.append(entry())
    said = importcrons("--map", "shop.tasks.tack=tests:tick")
    assert "--map shop.tasks.tack: no entry that can be read runs it. Did you mean 'shop.tasks.tick'?" in said


def test_another_source_is_refused_and_no_entries_are_nothing_to_import(entries):
    with pytest.raises(CommandError, match=r"'django-q' is no source\. Did you mean 'django-q2'\?"):
        call_command("importcrons", "django-q")
    assert importcrons() == "There is nothing to import: django-q2 has no entries.\n"


def test_arguments_of_all_types_are_written_as_they_are(entries):
    @internal_mutation
    def take_whatever(ctx: Context, /, **others: object) -> None: ...

    values: dict[str, object] = {
        "text": 'it\'s "so"\n',
        "number": 1.5,
        "long": 10**5000,
        "infinite": float("inf"),
        "nothing": None,
        "price": Decimal("9.90"),
        "id": UUID(int=7),
        "day": date(2026, 6, 1),
        "time": datetime(2026, 6, 1, tzinfo=UTC),
        "length": timedelta(days=1),
        "nested": {"a": [1, (2,), {3}], "b": (1, 2), "c": set()},
        "two words": b"\x00",
        "class": True,
    }
    entries.append(entry(task="take_whatever", kwargs=values))
    code = importcrons().partition("Of 1 entries")[0]
    exec(compile(code, "crons.py", "exec"), {})
    assert "'nine' is here already." in importcrons()


def test_an_argument_that_has_no_literal_is_a_gap_that_manage_py_check_finds(entries):
    entries.append(entry(kwargs={"label": object}))
    with pytest.raises(CommandError):
        importcrons()
    entries[:] = [entry(kwargs={"label": crons.CronState.ACTIVE})]
    code = importcrons().partition("Of 1 entries")[0]
    assert "what stands as ... has no literal" in code.replace("\n# ", " ")
    exec(compile(code, "crons.py", "exec"), {})
    assert "E103" in {message.id.rpartition(".")[2] for message in run_checks() if message.id}


class ZoneOfAnotherPackage(tzinfo):
    """As those of ``pytz`` and ``dateutil``: what they are written as is no Python that the module could run."""

    def utcoffset(self, when: datetime | None) -> timedelta:
        return timedelta(hours=1)

    def dst(self, when: datetime | None) -> None:
        return None

    def tzname(self, when: datetime | None) -> str:
        return "CET"

    def __repr__(self) -> str:
        return "<CET>"


def test_a_time_in_a_zone_of_another_package_is_a_gap_too(entries):
    @internal_mutation
    def take_time(ctx: Context, *, at: object) -> None: ...

    for value in (datetime(2026, 6, 1, tzinfo=ZoneOfAnotherPackage()), time(7, tzinfo=ZoneOfAnotherPackage())):
        entries[:] = [entry(task="take_time", kwargs={"at": value})]
        assert "at=..." in importcrons()
    for zone in ("datetime.timezone.utc", 'zoneinfo.ZoneInfo(key="Europe/Paris")'):
        value = datetime(2026, 6, 1, tzinfo=UTC if "utc" in zone else ZoneInfo("Europe/Paris"))
        entries[:] = [entry(task="take_time", kwargs={"at": value})]
        assert zone.replace('"', "'") in importcrons()


@pytest.mark.parametrize("error", [TypeError, ValueError, AttributeError, OverflowError])
def test_an_entry_that_cannot_be_read_does_not_keep_others_from_being_imported(error):
    def read_what_is_wrong() -> Entry:
        raise error("5 is no list")

    refused, read = read_each([("wrong", read_what_is_wrong), ("nine", entry)])
    assert isinstance(refused, Refused)
    assert "It cannot be read: 5 is no list." in str(refused)
    assert read == entry()


def test_a_set_is_the_same_set_in_any_order(entries):
    names = {"names": {f"name {number}" for number in range(20)}}
    ctx.crons.register("nine", NINE, tick_for_all, **names)
    entries.append(entry(task="tick_for_all", kwargs={"names": {*sorted(names["names"])}}))
    assert "'nine' is here already." in importcrons()
