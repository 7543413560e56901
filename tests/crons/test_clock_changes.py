"""What crons do on the nights when clocks change: Debian's rule, in zones that change them in every way there is.

A line with a fixed hour and minute runs once a day: after the skipped hour if it falls into that, in the first one of
two equal hours. A line whose minute or hour begins with ``*`` runs whenever the clock on the wall matches.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from freezegun import freeze_time

from django_scheduler import crons
from django_scheduler.crons.preview import next_runs

BERLIN = "Europe/Berlin"  # 29 March 2026 02:00 -> 03:00; 25 October 2026 03:00 -> 02:00
NEW_YORK = "America/New_York"  # 8 March 2026 02:00 -> 03:00; 1 November 2026 02:00 -> 01:00
LORD_HOWE = "Australia/Lord_Howe"  # by half an hour: 4 October 2026 02:00 -> 02:30; 5 April 2026 02:00 -> 01:30
CASABLANCA = "Africa/Casablanca"  # for Ramadan: 15 February 2026 03:00 -> 02:00; 22 March 2026 02:00 -> 03:00
SAO_PAULO = "America/Sao_Paulo"  # at midnight: 4 November 2018 00:00 -> 01:00; 18 February 2018 00:00 -> 23:00

FIXED_IN_GAP = [
    # The same instant as the first one after the gap.
    (BERLIN, "30 2 * * *", "2026-03-28 12:00", ["29 03:00+0200", "30 02:30+0200"]),
    (BERLIN, "0 2 * * *", "2026-03-28 12:00", ["29 03:00+0200", "30 02:00+0200"]),
    (BERLIN, "0,30 2 * * *", "2026-03-28 12:00", ["29 03:00+0200", "30 02:00+0200", "30 02:30+0200"]),
    (BERLIN, "30 2,3 * * *", "2026-03-28 12:00", ["29 03:00+0200", "29 03:30+0200", "30 02:30+0200"]),
    (NEW_YORK, "30 2 * * *", "2026-03-07 12:00", ["08 03:00-0400", "09 02:30-0400"]),
    (LORD_HOWE, "15 2 * * *", "2026-10-03 12:00", ["04 02:30+1100", "05 02:15+1100"]),
    (LORD_HOWE, "45 2 * * *", "2026-10-03 12:00", ["04 02:45+1100", "05 02:45+1100"]),
    (CASABLANCA, "30 2 * * *", "2026-03-21 12:00", ["22 03:00+0100", "23 02:30+0100"]),
    (SAO_PAULO, "0 0 * * *", "2018-11-03 12:00", ["04 01:00-0200", "05 00:00-0200"]),
    (SAO_PAULO, "30 0 * * *", "2018-11-03 12:00", ["04 01:00-0200", "05 00:30-0200"]),
]

FIXED_IN_REPEATED_HOUR = [
    (BERLIN, "30 2 * * *", "2026-10-24 12:00", ["25 02:30+0200", "26 02:30+0100"]),
    (NEW_YORK, "30 1 * * *", "2026-10-31 12:00", ["01 01:30-0400", "02 01:30-0500"]),
    (LORD_HOWE, "45 1 * * *", "2026-04-04 12:00", ["05 01:45+1100", "06 01:45+1030"]),
    (CASABLANCA, "30 2 * * *", "2026-02-14 12:00", ["15 02:30+0100", "16 02:30+0000"]),
    (SAO_PAULO, "30 23 * * *", "2018-02-17 12:00", ["17 23:30-0200", "18 23:30-0300"]),
]

HOURLY = [
    (BERLIN, "5 * * * *", "2026-03-29 00:30", ["29 01:05+0100", "29 03:05+0200", "29 04:05+0200"]),
    (BERLIN, "5 * * * *", "2026-10-25 01:30", ["25 02:05+0200", "25 02:05+0100", "25 03:05+0100"]),
    (NEW_YORK, "5 * * * *", "2026-03-08 00:30", ["08 01:05-0500", "08 03:05-0400"]),
    (NEW_YORK, "5 * * * *", "2026-11-01 00:30", ["01 01:05-0400", "01 01:05-0500", "01 02:05-0500"]),
    (LORD_HOWE, "45 * * * *", "2026-10-04 00:50", ["04 01:45+1030", "04 02:45+1100", "04 03:45+1100"]),
    (LORD_HOWE, "5 * * * *", "2026-10-04 00:50", ["04 01:05+1030", "04 03:05+1100"]),
    (LORD_HOWE, "45 * * * *", "2026-04-05 00:50", ["05 01:45+1100", "05 01:45+1030", "05 02:45+1030"]),
    (LORD_HOWE, "0 */2 * * *", "2026-04-05 00:50", ["05 02:00+1030", "05 04:00+1030"]),
    (CASABLANCA, "5 * * * *", "2026-02-15 01:30", ["15 02:05+0100", "15 02:05+0000", "15 03:05+0000"]),
    (CASABLANCA, "5 * * * *", "2026-03-22 00:30", ["22 01:05+0000", "22 03:05+0100"]),
    (SAO_PAULO, "5 * * * *", "2018-11-03 22:30", ["03 23:05-0300", "04 01:05-0200"]),
    (SAO_PAULO, "5 * * * *", "2018-02-17 22:30", ["17 23:05-0200", "17 23:05-0300", "18 00:05-0300"]),
]

EVERY_15_MINUTES = [
    (BERLIN, "*/15 * * * *", "2026-03-29 01:40", ["29 01:45+0100", "29 03:00+0200", "29 03:15+0200"]),
    (BERLIN, "*/15 * * * *", "2026-10-25 02:40", ["25 02:45+0200", "25 02:00+0100", "25 02:15+0100"]),
    (BERLIN, "*/15 2 * * *", "2026-03-29 01:40", ["30 02:00+0200", "30 02:15+0200"]),
    (BERLIN, "*/30 2 * * *", "2026-10-25 01:40", [f"25 02:{m}+0{o}00" for o in (2, 1) for m in ("00", "30")]),
    (NEW_YORK, "*/15 * * * *", "2026-11-01 01:40", ["01 01:45-0400", "01 01:00-0500", "01 01:15-0500"]),
    (LORD_HOWE, "*/15 * * * *", "2026-10-04 01:40", ["04 01:45+1030", "04 02:30+1100", "04 02:45+1100"]),
    (LORD_HOWE, "*/15 * * * *", "2026-04-05 01:40", ["05 01:45+1100", "05 01:30+1030", "05 01:45+1030"]),
    (LORD_HOWE, "*/15 3 * * *", "2026-10-04 00:40", [f"04 03:{m}+1100" for m in ("00", "15", "30", "45")]),
    (LORD_HOWE, "*/15 3 * * *", "2026-04-05 00:40", [f"05 03:{m}+1030" for m in ("00", "15", "30", "45")]),
    (CASABLANCA, "*/15 * * * *", "2026-02-15 02:40", ["15 02:45+0100", "15 02:00+0000"]),
    (SAO_PAULO, "*/15 * * * *", "2018-11-03 23:40", ["03 23:45-0300", "04 01:00-0200"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("zone", "line", "now", "expected"), FIXED_IN_GAP + FIXED_IN_REPEATED_HOUR + HOURLY + EVERY_15_MINUTES
)
def test_lines_follow_debians_rule_when_clocks_change(zone, line, now, expected):
    local = datetime.fromisoformat(now).replace(tzinfo=ZoneInfo(zone))
    with freeze_time(local.astimezone(UTC)):
        runs = next_runs(crons.CronLine(line, timezone=zone), datetime.now(UTC), len(expected))

    assert [run.astimezone(ZoneInfo(zone)).strftime("%d %H:%M%z") for run in runs] == expected


@pytest.mark.parametrize(("line", "first"), [("30 2 * * *", "26 02:30"), ("40 2 * * *", "26 02:40")])
def test_a_cron_that_is_added_in_the_second_of_two_equal_hours_does_not_run_in_the_past(line, first):
    now = datetime(2026, 10, 25, 1, 35, tzinfo=UTC)  # 02:35 in Berlin, for the second time
    (run,) = next_runs(crons.CronLine(line, timezone=BERLIN), now, 1)
    assert run > now
    assert run.astimezone(ZoneInfo(BERLIN)).strftime("%d %H:%M") == first


@pytest.mark.parametrize("day", [28, 29, 30])
def test_daily_at_a_time_means_that_time_whatever_the_offset_is(day):
    now = datetime(2026, 3, day, 0, 0, tzinfo=UTC)
    (run,) = next_runs(crons.Daily(hour=9, minute=0, timezone=BERLIN), now, 1)
    assert run.astimezone(ZoneInfo(BERLIN)).strftime("%d %H:%M") == f"{day} 09:00"


def test_an_interval_keeps_its_length_when_clocks_change():
    zone = ZoneInfo(BERLIN)
    anchor = datetime(2026, 3, 28, 12, tzinfo=zone)
    slots = next_runs(crons.Interval(hours=8), datetime(2026, 3, 28, 13, tzinfo=zone), 6, anchor=anchor)
    assert {later - earlier for earlier, later in pairwise(slots)} == {timedelta(hours=8)}
