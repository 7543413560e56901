"""Which schedules there are, which cannot be, and the arithmetic of their slots."""

import re
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from django_scheduler import crons, ctx
from django_scheduler.crons.cron_lines import stable_minute
from django_scheduler.crons.preview import next_runs
from django_scheduler.errors import InvalidSchedule

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "line",
    [
        "0 0 30 2 *",  # there is no 30 February
        "0 0 31 2,4,6 *",
        "0 0 31 11 *",
        "0 0 * 2 mon#6",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "5-1 * * * *",
        "@daily",
        "",
        "* * * *",
        "0 * * * * *",  # seconds: for them there are intervals
        "* * * * never",
        f"{','.join(map(str, range(60)))} {','.join(map(str, range(24)))} {','.join(map(str, range(1, 32)))} * *",
    ],
)
def test_lines_that_cannot_be_are_refused(line):
    with pytest.raises(InvalidSchedule, match="cron line"):
        crons.CronLine(line)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (crons.Interval, "takes exactly one of seconds, minutes, hours, every; none is given"),
        (lambda: crons.Interval(seconds=1, minutes=1), "seconds and minutes are given"),
        (lambda: crons.Interval(seconds=0), "from a second to 1830 days, not 0:00:00."),
        (lambda: crons.Interval(seconds=-5), "from a second to 1830 days, not -1 day, 23:59:55"),
        (lambda: crons.Interval(seconds=0.5), "from a second to 1830 days, not 0:00:00.5"),
        (lambda: crons.Interval(seconds=float("nan")), "seconds=nan is no interval"),
        (lambda: crons.Interval(hours=1e300), "hours=1e+300 is no interval"),
        (lambda: crons.Interval(seconds=True), "seconds must be a number, not True"),
        (lambda: crons.Interval(seconds="10"), "seconds must be a number, not '10'"),  # type: ignore[arg-type]
        (lambda: crons.Interval(every=10), "every must be a timedelta, not 10"),  # type: ignore[arg-type]
        (lambda: crons.Interval(every=timedelta(days=10_000)), "from a second to 1830 days, not 10000 days"),
        (
            lambda: crons.Interval(seconds=1, catch_up="two"),  # type: ignore[arg-type]
            'catch_up must be "one", "none" or "all", not \'two\'',
        ),
        (
            lambda: crons.Interval(seconds=1, pause_after_failures=0),
            "pause_after_failures must be a positive whole number or None, not 0",
        ),
        (lambda: crons.CronLine(5), "A cron line is a str, not int"),  # type: ignore[arg-type]
        (lambda: crons.CronLine("* * * * *", timezone="Europe/Atlantis"), "There is no time zone 'Europe/Atlantis'"),
        (lambda: crons.Daily(hour=3, timezone="Europe/Berln"), "'Europe/Berln'. Did you mean 'Europe/Berlin'?"),
        (lambda: crons.CronLine("* * * * *", timezone="../etc/passwd"), "There is no time zone '../etc/passwd'"),
        (lambda: crons.CronLine("* * * * *", timezone=""), "There is no time zone ''"),
        (lambda: crons.CronLine("* * * * *", timezone=5), "There is no time zone 5"),  # type: ignore[arg-type]
        (lambda: crons.Hourly(minute=60), "minute must be a whole number from 0 to 59, not 60"),
        (lambda: crons.Daily(hour=24), "hour must be a whole number from 0 to 23, not 24"),
        (lambda: crons.Daily(hour=1, minute=-1), "minute must be a whole number from 0 to 59, not -1"),
        (lambda: crons.Daily(hour=1.5), "hour must be a whole number from 0 to 23, not 1.5"),  # type: ignore[arg-type]
        (
            lambda: crons.Weekly(day="funday", hour=1),  # type: ignore[arg-type]
            "day must be one of monday, tuesday, wednesday, thursday, friday, saturday, sunday, not 'funday'",
        ),
        (
            lambda: crons.Weekly(day="Monday", hour=1),  # type: ignore[arg-type]
            "day must be one of monday, tuesday, wednesday, thursday, friday, saturday, sunday, not 'Monday'",
        ),
        (lambda: crons.Monthly(day=0, hour=1), "day must be a whole number from 1 to 31, not 0"),
        (lambda: crons.Monthly(day=32, hour=1), "day must be a whole number from 1 to 31, not 32"),
    ],
)
def test_schedules_that_cannot_be_are_refused_with_the_reason(make, message):
    with pytest.raises(InvalidSchedule, match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("schedule", "line"),
    [
        (crons.Hourly(minute=5), "5 * * * *"),
        (crons.Daily(hour=7, minute=30), "30 7 * * *"),
        (crons.Weekly(day="monday", hour=0, minute=0), "0 0 * * mon"),
        (crons.Weekly(day="sunday", hour=23, minute=59), "59 23 * * sun"),
        (crons.Monthly(day=31, hour=1, minute=2), "2 1 31 * *"),
        (crons.CronLine("  0  9 * *   MON-fri "), "0 9 * * MON-fri"),
    ],
)
def test_the_common_schedules_are_cron_lines(schedule, line):
    assert schedule.line == line


@pytest.mark.parametrize(
    "make",
    [
        crons.Hourly,
        lambda: crons.Daily(hour=7),
        lambda: crons.Weekly(day="monday", hour=7),
        lambda: crons.Monthly(day=1, hour=7),
        lambda: crons.CronLine("H 7 * * *"),
    ],
)
def test_without_a_minute_the_name_chooses_one_and_always_the_same(make):
    minutes = {name: make().for_cron(name).line.split()[0] for name in ("a", "b", "c", "d", "e")}
    assert minutes == {name: str(stable_minute(name)) for name in minutes}
    assert len(set(minutes.values())) > 1
    assert stable_minute("send the digest") == 20  # as in every version, on every machine


def test_names_spread_over_the_whole_hour():
    assert {stable_minute(f"cron {number}") for number in range(1_000)} == set(range(60))


def test_months_without_a_31st_are_skipped():
    schedule = crons.Monthly(day=31, hour=12, minute=0, timezone="UTC")
    runs = next_runs(schedule, datetime(2026, 1, 1, tzinfo=UTC), 7)
    assert [run.month for run in runs] == [1, 3, 5, 7, 8, 10, 12]
    assert {run.day for run in runs} == {31}


def test_the_29th_of_february_comes_every_four_years():
    runs = next_runs(crons.CronLine("0 0 29 2 *", timezone="UTC"), datetime(2026, 1, 1, tzinfo=UTC), 3)
    assert [run.year for run in runs] == [2028, 2032, 2036]


def test_an_interval_begins_at_once():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert next_runs(crons.Interval(minutes=10), now, 2) == [now, now + timedelta(minutes=10)]


def test_the_zone_is_the_projects_unless_another_one_is_given(settings):
    settings.TIME_ZONE = "Asia/Tokyo"
    assert crons.Daily(hour=1).timezone == "Asia/Tokyo"
    assert crons.Daily(hour=1, timezone="UTC").timezone == "UTC"


moments = st.datetimes(datetime(2015, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "America/Sao_Paulo"]
)


def fields(lowest: int, highest: int) -> st.SearchStrategy[str]:
    number = st.integers(lowest, highest)
    return st.one_of(
        st.just("*"),
        st.builds("*/{}".format, st.integers(1, highest)),
        st.builds(str, number),
        st.builds("{0[0]}-{0[1]}".format, st.tuples(number, number).map(sorted)),
        st.builds(lambda numbers: ",".join(map(str, sorted(numbers))), st.sets(number, min_size=1, max_size=3)),
    )


lines = st.builds(" ".join, st.tuples(fields(0, 59), fields(0, 23), fields(1, 28), fields(1, 12), fields(0, 6)))
# Lines with several matches a day, so that they often meet a change of the clocks.
daily_lines = st.builds("{} {} * * *".format, fields(0, 59), fields(0, 3))
changes = st.sampled_from(
    [
        datetime(2026, 3, 28, 22, tzinfo=UTC),
        datetime(2026, 10, 24, 22, tzinfo=UTC),
        datetime(2026, 3, 8, 3, tzinfo=UTC),
        datetime(2026, 11, 1, 3, tzinfo=UTC),
        datetime(2026, 4, 4, 12, tzinfo=UTC),
        datetime(2026, 10, 3, 12, tzinfo=UTC),
        datetime(2026, 2, 15, tzinfo=UTC),
        datetime(2026, 3, 22, tzinfo=UTC),
        datetime(2018, 11, 4, 1, tzinfo=UTC),
        datetime(2018, 2, 18, tzinfo=UTC),
    ]
)
near_changes = st.builds(lambda change, minutes: change + timedelta(minutes=minutes), changes, st.integers(0, 480))


@given(lines | daily_lines, zones, moments | near_changes)
def test_slots_of_a_line_strictly_increase_and_are_the_same_from_every_starting_point(line, zone, now):
    schedule = crons.CronLine(line, timezone=zone)
    slots = next_runs(schedule, now, 6)
    assert all(earlier < later for earlier, later in pairwise([now, *slots]))
    middle = slots[2] + (slots[3] - slots[2]) / 2
    assert schedule.next_after(middle, anchor=now) == slots[3]
    assert schedule.latest_until(middle, since=slots[0], anchor=now) == slots[2]
    assert schedule.latest_until(slots[5], since=slots[0], anchor=now) == slots[5]


@given(lines | daily_lines, zones.filter(lambda zone: zone != "Australia/Lord_Howe"), moments | near_changes)
def test_slots_of_a_line_are_those_of_cronsim(line, zone, now):
    slots = next_runs(crons.CronLine(line, timezone=zone), now, 6)
    matches = CronSim(line, now.astimezone(ZoneInfo(zone)))
    instants = (match.astimezone(UTC) for match in matches)
    assert slots == list(islice((instant for instant in instants if instant > now), 6))


@given(daily_lines, zones, near_changes)
def test_every_slot_of_a_line_with_a_star_is_a_match_on_the_wall_and_none_is_left_out(line, zone, now):
    minute, hour, *_ = line.split()
    if not (minute.startswith("*") or hour.startswith("*")):
        minute, line = "*", " ".join(["*", *line.split()[1:]])
    parsed = CronSim(line, now)
    start = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    wall = {start + timedelta(minutes=number) for number in range(9 * 60)}
    on_the_wall = {
        moment
        for moment in wall
        for local in [moment.astimezone(ZoneInfo(zone))]
        if local.minute in parsed.minutes and local.hour in parsed.hours
    }
    slots = set(crons.CronLine(line, timezone=zone).slots(now, max(wall), anchor=now))
    assert slots == on_the_wall


@given(
    st.timedeltas(timedelta(seconds=1), timedelta(days=400)),
    moments,
    st.timedeltas(timedelta(0), timedelta(days=4_000)),
    zones,
)
def test_slots_of_an_interval_lie_on_its_grid_and_none_is_left_out(every, anchor, later, zone):
    schedule = crons.Interval(every=every)
    time = (anchor + later).astimezone(ZoneInfo(zone))
    slot = schedule.next_after(time, anchor=anchor)
    assert (slot - anchor) % every == timedelta(0)
    assert slot - every <= time.astimezone(UTC) < slot
    assert schedule.next_after(slot, anchor=anchor) == slot + every
    assert schedule.latest_until(time, since=anchor, anchor=anchor) == slot - every


@pytest.mark.parametrize(
    ("schedule", "written"),
    [
        (crons.Interval(minutes=5), "Interval(every=datetime.timedelta(seconds=300))"),
        (crons.CronLine("*/5 * * * *", timezone="UTC"), "CronLine('*/5 * * * *', timezone='UTC')"),
        (
            crons.Daily(hour=3, timezone="Europe/Berlin", catch_up="all", pause_after_failures=5),
            "CronLine('H 3 * * *', timezone='Europe/Berlin', catch_up='all', pause_after_failures=5)",
        ),
    ],
)
def test_schedules_show_how_they_can_be_written(schedule, written):
    assert repr(schedule) == written


@pytest.mark.django_db
def test_a_line_that_is_no_schedule_is_answered_with_how_to_make_one_of_it():
    with pytest.raises(InvalidSchedule, match=r"Write crons\.CronLine\('0 3 \* \* \*'\)"):
        ctx.crons.register("x", "0 3 * * *", "tests:tick")  # type: ignore[call-overload]
