"""manage.py schedule schedules a function, whose arguments are read as its annotations say."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.utils import ConnectionHandler
from django.utils import timezone

from django_scheduler import mutation
from django_scheduler.databases import database_for
from django_scheduler.models import ScheduledFunction, State
from tests.functions import write
from tests.management.typed_functions import Color, Priority, take_others, take_typed
from tests.models import Entry

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

BERLIN = ZoneInfo("Europe/Berlin")


def schedule(*arguments: str, **options: Any) -> str:
    output = StringIO()
    call_command("schedule", *arguments, stdout=output, **options)
    return output.getvalue()


def only() -> ScheduledFunction:
    return ScheduledFunction.objects.get()


def read(name: str, text: str) -> object:
    schedule(take_typed.name, f"{name}={text}")
    return only().decoded_args()[name]


def test_it_runs_at_once_and_says_its_id(execute_due):
    output = schedule("tests:write", "label=from the shell")
    assert re.match(
        rf"Scheduled tests:write {only().pk}, due \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d \(.+\)\.\n$", output
    )
    execute_due()
    assert Entry.objects.get().label == "from the shell"
    assert only().state == State.SUCCESS


def test_after_a_while():
    schedule(write.name, "label=later", "--after=1d12h")
    delay = only().due_time - timezone.now()
    assert timedelta(days=1, hours=11, minutes=59) < delay <= timedelta(days=1, hours=12)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2030-12-01T08:00", datetime(2030, 12, 1, 7, tzinfo=UTC)),
        ("2030-07-01 08:00:30", datetime(2030, 7, 1, 6, 0, 30, tzinfo=UTC)),
        ("2030-12-01", datetime(2030, 11, 30, 23, tzinfo=UTC)),
        ("2030-12-01T08:00Z", datetime(2030, 12, 1, 8, tzinfo=UTC)),
        ("2030-12-01T08:00-05:00", datetime(2030, 12, 1, 13, tzinfo=UTC)),
    ],
)
def test_at_a_time_in_the_time_zone_of_the_site(text, instant):
    with timezone.override(BERLIN):
        output = schedule(write.name, "label=then", f"--at={text}")
    assert only().due_time == instant
    assert f"due {instant.astimezone(BERLIN).isoformat(sep=' ')} (Europe/Berlin)" in output


def test_a_time_that_the_clocks_skip_is_refused():
    with (
        timezone.override(BERLIN),
        pytest.raises(CommandError, match="the clocks of Europe/Berlin skip 2030-03-31T02:30"),
    ):
        schedule(write.name, "label=never", "--at=2030-03-31T02:30")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("text", "7", "7"),
        ("text", "a=b", "a=b"),
        ("text", "", ""),
        ("number", "-7", -7),
        ("real", "1.5", 1.5),
        ("flag", "yes", True),
        ("flag", "False", False),
        ("flag", "0", False),
        ("amount", "1.10", Decimal("1.10")),
        ("key", "00000000-0000-0000-0000-000000000007", UUID(int=7)),
        ("key", "null", None),
        ("day", "2026-12-01", date(2026, 12, 1)),
        ("moment", "2026-12-01T08:00+00:00", datetime(2026, 12, 1, 8, tzinfo=UTC)),
        ("clock", "08:30", time(8, 30)),
        ("delay", "1d12h", timedelta(days=1, hours=12)),
        ("maybe", "7", 7),
        ("maybe", "null", None),
        ("maybe_text", "null", None),
        ("maybe_text", "None", "None"),
        ("number_or_text", "7", 7),
        ("number_or_text", "seven", "seven"),
        ("flag_or_number", "1", 1),
        ("flag_or_number", "true", True),
        ("one_of", "slow", "slow"),
        ("one_of", "3", 3),
        ("priority", "HIGH", Priority.HIGH),
        ("priority", "10", Priority.HIGH),
        ("color", "r", Color.RED),
        ("order", "7", 7),
        ("numbers", "[1, 2]", [1, 2]),
        ("days", '["2026-12-01"]', [date(2026, 12, 1)]),
        ("pair", '[1, "1.10"]', (1, Decimal("1.10"))),
        ("many", "[1, 2, 3]", (1, 2, 3)),
        ("names", '["a"]', {"a"}),
        ("prices", '{"a": 1.5}', {"a": Decimal("1.5")}),
        ("counts", '{"1": 2}', {1: 2}),
        ("mixed", '[1, "1", null]', [1, "1", None]),
        ("address", '{"street": "7"}', {"street": "7"}),
        ("anything", '{"a": [1]}', {"a": [1]}),
        ("anything", "just text", "just text"),
        ("bare", "7", 7),
        ("bare", '"7"', "7"),
        ("bare", "NaN", "NaN"),
    ],
)
def test_each_value_is_read_as_its_annotation_says(name, text, value):
    found = read(name, text)
    assert found == value
    assert type(found) is type(value)


def test_a_naive_time_among_the_arguments_is_in_the_time_zone_of_the_site():
    with timezone.override(BERLIN):
        assert read("moment", "2026-12-01T08:00") == datetime(2026, 12, 1, 7, tzinfo=UTC)


def test_an_instance_of_a_model_is_given_by_its_primary_key():
    entry = Entry.objects.create(label="there")
    assert read("entry", str(entry.pk)) == entry


def test_names_that_the_function_takes_with_two_asterisks():
    schedule(take_others.name, "any=7")
    assert only().args == {"any": 7}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("number=many", "tests:take_typed: number=many cannot be read as int."),
        ("number=1.5", "number=1.5 cannot be read as int"),
        ("maybe=many", "maybe=many cannot be read as int | None"),
        ("flag=perhaps", "cannot be read as bool: write true or false"),
        ("amount=x", "cannot be read as Decimal"),
        ("key=7", "cannot be read as UUID | None"),
        ("moment=soon", "cannot be read as"),
        ("delay=soon", "cannot be read as timedelta"),
        ("one_of=medium", "it is one of fast, slow, 3"),
        ("priority=MEDIUM", "it is one of LOW, HIGH"),
        ("entry=987654321", "cannot be read as Entry | None"),
        ("entry=x", "cannot be read as"),
        ("numbers=1", "cannot be read as list[int]: it is no JSON array"),
        ('numbers=["x"]', "cannot be read as list[int]"),
        ("numbers=[1.5]", "cannot be read as list[int]"),
        ("numbers=[", "it is no JSON ("),
        ("names=[7]", "7 is no text"),
        ("pair=[1]", "it has 1 elements, and not 2"),
        ("prices=[]", "it is no JSON object"),
        ("pattern=x", "cannot be read as bytes: such a value cannot be written on the command line"),
        ("lost=7", "the annotation 'OnlyForTypeCheckers | None' of lost cannot be evaluated"),
        ("nubmer=7", "got an unexpected keyword argument 'nubmer' (did you mean 'number'?)"),
        ("number=1 number=2", "The argument number is given twice"),
        ("number", "'number' is no argument of a function: write name=value"),
        ("number=1 --after=5", "'5' is not a duration"),
        ("number=1 --after=9999d", "A delay cannot be longer than"),
        ("number=1 --at=soon", "'soon' is not a time, such as 2026-12-01"),
        ("number=1 --at=2400-01-01", "A time cannot be more than"),
        ("number=1 --after=1d --at=2030-01-01", "not allowed with argument"),
        ("number=1 --database=nowhere", "There is no database 'nowhere'"),
    ],
)
def test_what_cannot_be_is_refused_with_the_parameter_and_the_type(arguments, complaint):
    with pytest.raises(CommandError, match=re.escape(complaint)):
        schedule(take_typed.name, *arguments.split(" ") if '"' not in arguments else [arguments])
    assert not ScheduledFunction.objects.exists()


def test_a_function_that_does_not_exist_is_answered_with_the_nearest():
    with pytest.raises(CommandError, match="Did you mean 'tests:write'"):
        schedule("tests:wirte")


def test_keywords_of_call_command_are_read_as_on_the_command_line():
    tomorrow = timezone.now() + timedelta(days=1)
    schedule(write.name, "label=x", at=tomorrow)
    assert abs(only().due_time - tomorrow) < timedelta(seconds=1)
    schedule(write.name, "label=y", after=timedelta(hours=1))
    with pytest.raises(CommandError, match="not allowed with argument"):
        schedule(write.name, "label=z", after="1h", at="2030-01-01")


def test_annotations_that_are_no_text():
    @mutation
    def take_numbers(ctx, *, number: int | None, numbers: "list[int]") -> None: ...

    schedule(take_numbers.name, "number=7", "numbers=[7]")
    assert only().args == {"number": 7, "numbers": [7]}


@pytest.mark.parametrize(
    "line",
    [
        "tests:write --after 7d label=x",
        "--after 7d tests:write label=x",
        "tests:write label=x --after 7d",
        "--database default tests:write --after=7d label=x --verbosity 1",
    ],
)
def test_options_stand_anywhere_among_the_arguments(line):
    schedule(*line.split())

    assert only().args == {"label": "x"}
    assert only().due_time > timezone.now() + timedelta(days=6)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("tests:write label=x --aftre 7d", "unrecognized arguments: --aftre 7d. Did you mean '--after'?"),
        ("tests:write --label=x", "An argument of a function is written without dashes: label=x"),
        ("--after 7d", "the following arguments are required: function"),
    ],
)
def test_what_is_no_option_is_answered_with_how_to_write_it(line, complaint):
    with pytest.raises(CommandError, match=re.escape(complaint)):
        schedule(*line.split())
    assert not ScheduledFunction.objects.exists()


def test_an_instance_is_read_from_the_database_that_the_function_is_scheduled_in(second_database):
    entry = Entry.objects.using(second_database).create(label="only there")
    schedule(take_typed.name, f"entry={entry.pk}", f"--database={second_database}")

    (row,) = ScheduledFunction.objects.using(second_database)
    found = row.decoded_args()["entry"]
    assert isinstance(found, Entry)
    assert (found.label, found._state.db) == ("only there", second_database)
    with pytest.raises(CommandError, match=r"no row of the database 'default' has this primary key"):
        schedule(take_typed.name, f"entry={entry.pk}")


def test_an_instance_of_a_model_that_routers_keep_elsewhere_is_read_from_there(second_database, settings):
    settings.DATABASE_ROUTERS = ["tests.management.test_schedule.EntriesElsewhere"]
    entry = Entry.objects.using(second_database).create(label="only there")
    schedule(take_typed.name, f"entry={entry.pk}")

    assert only().args["entry"] == {"$model": ["tests.entry", entry.pk, second_database]}


class EntriesElsewhere:
    """Keeps entries in the second database, and everything else in the default one."""

    def db_for_read(self, model: type, **hints: Any) -> str | None:
        return "second" if model is Entry else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: Any) -> bool | None:
        return db == "second" if model_name == "entry" else None


@pytest.fixture
def second_database(tmp_path) -> Iterator[str]:
    """Another database, with tables of its own. (One in memory would never be closed: Django keeps those open.)"""
    connection = ConnectionHandler(
        {"default": {}, "second": {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "second.sqlite3"}}
    ).create_connection("second")
    connection.connect()  # before it is known as one of the project's, which Django keeps tests from opening
    connections.settings["second"] = connection.settings_dict
    connections["second"] = connection
    with connection.schema_editor() as editor:
        for model in (ScheduledFunction, Entry):
            editor.create_model(model)
    yield "second"
    connection.close()
    del connections["second"], connections.settings["second"]
    database_for.cache_clear()
