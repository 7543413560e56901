"""What each field of a cron line means, and what is said to those who write it as other systems have it."""

import re
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from django_scheduler import crons
from django_scheduler.crons.line_syntax import DAYS, MONTHS, for_cronsim
from django_scheduler.errors import InvalidSchedule

FIVE = "minute, hour, day of month, month, day of week"


def refusal_of(line: str) -> str:
    with pytest.raises(InvalidSchedule) as refused:
        crons.CronLine(line)
    return str(refused.value)


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("@daily", "write '0 0 * * *'"),
        ("@Midnight", "write '0 0 * * *'"),
        ("@hourly", "write '0 * * * *'"),
        ("@weekly", "write '0 0 * * 0'"),
        ("@monthly", "write '0 0 1 * *'"),
        ("@yearly", "write '0 0 1 1 *'"),
        ("@reboot", "ctx.scheduler.run_after()"),
        ("@fortnightly", "write five fields"),
        ("@every 5m", "write crons.Interval(minutes=5)"),
        ("@every 1h30m", "write crons.Interval(seconds=5400)"),
        ("@every", "write crons.Interval(minutes=5)"),
        ("CRON_TZ=Europe/Berlin 0 9 * * *", "write crons.CronLine('0 9 * * *', timezone='Europe/Berlin')"),
        ("TZ=UTC @daily", "write crons.CronLine('0 0 * * *', timezone='UTC')"),
        ("0 9 * * * Europe/Berlin", "write crons.CronLine('0 9 * * *', timezone='Europe/Berlin')"),
        ("UTC 0 9 * * *", "write crons.CronLine('0 9 * * *', timezone='UTC')"),
        ("0 0 9 * * *", "Leave out the seconds: '0 9 * * *'"),
        ("0 0 12 ? * MON-FRI", "Leave out the seconds: '0 12 * * MON-FRI'"),
        ("0 12 * * * 2026", "Leave out the year: '0 12 * * *'"),
        ("0 0 12 * * ? 2026-2030", "Leave out the seconds and the year: '0 12 * * *'"),
        ("0 9 * * ? *", "Leave out the year: '0 9 * * *'"),
        ("0 9 ? * MON-FRI 2026-2030", "Leave out the year: '0 9 * * MON-FRI'"),
        ("0/15 8-17 ? * * *", "Leave out the year: '0/15 8-17 * * *'"),
        ("*/15 * * * ? *", "Leave out the year: '*/15 * * * *'"),
        ("cron(0 9 * * ? *)", "Leave out the year: '0 9 * * *'"),
        ("cron(0 9 * * mon)", "write '0 9 * * mon', without cron()"),
        ("rate(5 minutes)", "write crons.Interval(minutes=5)"),
        ("rate(1 hour)", "write crons.Interval(hours=1)"),
        ("Rate(7 days)", "write crons.Interval(hours=168)"),
        ("rate(5 fortnights)", "write crons.Interval(minutes=5)"),
        ("*/10 * * * * *", "crons.Interval(seconds=10)"),
        ("* * * * * *", "crons.Interval(seconds=1)"),
        ("0 12 ? * mon", "for any day of month write * and not ?"),
        ("0 12 * * ?", "for any day of week write * and not ?"),
        ("0 22-6 * * *", "write 22-23,0-6"),
        ("0 22-6/2 * * *", "write 22,0,2,4,6"),
        ("50-10 * * * *", "write 50-59,0-10"),
        ("0 0 25-5 * *", "write 25-31,1-5"),
        ("0 0 * nov-feb *", "write nov-dec,jan-feb"),
        ("0 0 * * fri-mon", "write fri-sat,sun-mon"),
        ("0 0 * * sat-sun", "write sat,sun"),
        ("0 0 * * 7-2", "write sun-tue"),
        ("0 0 * * mon/2", "write mon,wed,fri, or mon,wed,fri,sun with Sunday"),
        ("0 0 * * 1/2", "write mon,wed,fri, or mon,wed,fri,sun with Sunday"),
        ("0 0 * * 2/2", "write tue,thu,sat."),
        ("0 0 * * 0/3", "write sun,wed,sat."),
        ("0 0 * * 7/2", "write sun."),
        ("0 12 15W * *", "Write LW"),
        ("0 12 L-3 * *", "L is the last day of the month"),
        ("0 12 * * L", "write sat"),
        ("0 12 * * mon#6", "from 1 to 5"),
        ("0 12 * * monday", "write mon"),
        ("0 12 1 sept *", "write sep"),
        ("0 12 mon * *", FIVE),
        ("H/15 * * * *", "is then H alone"),
        ("0 H * * *", "only the minute"),
        ("0~30 * * * *", "write H"),
        ("0 24 * * *", "Midnight is 0"),
        ("60 * * * *", "minute is from 0 to 59"),
        ("0 0 0 * *", "day of month is from 1 to 31"),
        ("0 0 * * 8", "day of week is from 0 to 7"),
        ("*/0 * * * *", "a whole number from 1"),
        ("*/-5 * * * *", "a whole number from 1"),
        ("1,,2 * * * *", "between commas"),
        ("1, 2 * * * *", "without spaces within one"),
        ("0 9 * * mon-fri /usr/bin/true", "without a command"),
        ("0 9 * *", FIVE),
        ("", FIVE),
        ("٣ * * * *", "write a number from 0 to 59"),
    ],
)
def test_what_other_systems_write_is_answered_with_what_to_write_here(line, instead):
    message = refusal_of(line)
    assert repr(line) in message
    assert instead in message
    for suggested in re.findall(r"'([^' ]+(?: [^' ]+){4})'", message.replace(repr(line), "")):
        crons.CronLine(suggested)


RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


@st.composite
def terms(draw: st.DrawFn, field: int) -> tuple[str, set[int]]:
    """Draw what stands between commas, and what it means."""
    lowest, highest = RANGES[field]
    words = {3: MONTHS, 4: DAYS}.get(field, ())

    def written(number: int) -> str:
        if number - lowest < len(words) and draw(st.booleans()):
            return draw(st.sampled_from([str.upper, str.lower]))(words[number - lowest])
        return str(number)

    first, last = sorted(draw(st.tuples(st.integers(lowest, highest), st.integers(lowest, highest))))
    step = draw(st.integers(1, {3: 12, 4: 7}.get(field, highest - lowest + 1)))  # a longer one is refused
    match draw(st.sampled_from(["*", "*/n", "a", "a-b", "a-b/n", "a-a/n", *(["a/n"] if field != 4 else [])])):
        case "*":
            return "*", {*range(lowest, highest + 1)}
        case "*/n":
            return f"*/{step}", {*range(lowest, highest + 1, step)}
        case "a":
            return written(first), {first}
        case "a-b":
            return f"{written(first)}-{written(last)}", {*range(first, last + 1)}
        case "a-b/n":
            return f"{written(first)}-{written(last)}/{step}", {*range(first, last + 1, step)}
        case "a-a/n":
            return f"{written(first)}-{written(first)}/{step}", {first}
        case _:
            return f"{written(first)}/{step}", {*range(first, highest + 1, step)}


@st.composite
def meant_lines(draw: st.DrawFn) -> tuple[str, list[set[int]]]:
    drawn = [draw(st.lists(terms(field), min_size=1, max_size=3)) for field in range(5)]
    line = " ".join(",".join(term for term, _ in each) for each in drawn)
    return line, [set[int]().union(*(numbers for _, numbers in each)) for each in drawn]


@given(meant_lines())
def test_each_field_means_the_numbers_that_it_says(drawn):
    line, meant = drawn
    parsed = CronSim(for_cronsim(line), datetime(2026, 1, 1, tzinfo=UTC))
    assert [parsed.minutes, parsed.hours, parsed.days, parsed.months, parsed.weekdays] == meant


@given(st.integers(0, 4), st.data())
def test_a_range_that_runs_backwards_is_written_as_one_that_does_not(field, data):
    lowest, highest = RANGES[field]
    size = 7 if field == 4 else highest - lowest + 1
    last, first = sorted(data.draw(st.sets(st.integers(lowest, highest), min_size=2, max_size=2)))
    step = data.draw(st.none() | st.integers(1, size))
    lines = ["0"] * field + [f"{first}-{last}" + (f"/{step}" if step else "")] + ["*"] * (4 - field)
    lines[2:4] = ["1" if text == "0" else text for text in lines[2:4]]

    instead = re.search(r"write ([\w,-]+)\.", refusal_of(" ".join(lines)))

    assert instead
    lines[field] = instead[1]
    parsed = CronSim(for_cronsim(" ".join(lines)), datetime(2026, 1, 1, tzinfo=UTC))
    found: set[int] = [parsed.minutes, parsed.hours, parsed.days, parsed.months, parsed.weekdays][field]
    around = range(first, last + size + 1, step or 1) if first < lowest + size else range(0, last + 1, step or 1)
    assert {number % size for number in found} == {number % size for number in around}


@given(st.text(st.sampled_from("0123456789*/-,#LWHlh?@~ monfrijan\u0663"), max_size=30))
def test_whatever_is_written_is_a_schedule_or_is_refused(text):
    with suppress(InvalidSchedule):
        crons.CronLine(text)


@pytest.mark.parametrize(
    ("line", "days"),
    [
        ("0 0 */2 * mon", [5, 19]),  # both: an odd day that is a Monday
        ("0 0 1 * */2", [1]),  # both: the first, if it is a Sunday, Tuesday, Thursday or Saturday
        ("0 0 1 * mon", [1, 5, 12, 19, 26]),  # one of the two
        ("0 0 1-31/2 * mon", [1, 3, 5, 7, 9, 11, 12, 13, 15, 17, 19, 21, 23, 25, 26, 27, 29, 31]),
    ],
)
def test_day_of_month_and_day_of_week_both_count_if_one_begins_with_a_star(line, days):
    schedule = crons.CronLine(line, timezone="UTC")
    start, end = datetime(2025, 12, 31, 12, tzinfo=UTC), datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert [slot.day for slot in schedule.slots(start, end, anchor=start)] == days


def test_a_range_of_one_runs_once_and_is_kept_as_it_was_written():
    schedule = crons.CronLine("0-0/15 9-9/2 * * mon-mon/2", timezone="UTC")
    assert schedule.line == "0-0/15 9-9/2 * * mon-mon/2"
    start = datetime(2026, 1, 1, tzinfo=UTC)
    slots = list(schedule.slots(start, datetime(2026, 1, 13, tzinfo=UTC), anchor=start))
    assert slots == [datetime(2026, 1, 5, 9, tzinfo=UTC), datetime(2026, 1, 12, 9, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "*/90 * * * *",
            "too large: the field minute has 60 numbers. For what runs every 90 minutes there is crons.",
        ),
        ("0 */36 * * *", "too large: the field hour has 24 numbers. For what runs every 36 hours there is crons."),
        ("0-30/90 * * * *", "too large: the field minute has 60 numbers."),
        ("0 0 */45 * *", "too large: the field day of month has 31 numbers."),
        ("0 0 1 */18 *", "too large: the field month has 12 numbers."),
        ("0 0 * * */14", "too large: the field day of week has 7 numbers."),
    ],
)
def test_a_step_that_leads_out_of_its_field_is_refused(line, says):
    assert says in refusal_of(line)


@pytest.mark.parametrize("line", ["*/60 * * * *", "0 */24 * * *", "0 0 1 */12 *", "0 0 * * */7", "*/7 * * * *"])
def test_a_step_of_the_whole_field_is_once_in_each(line):
    assert crons.CronLine(line).line == line
