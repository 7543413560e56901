"""The benchmarks themselves are run by hand; here is what can be known without running a contender."""

import pytest

from benchmarks import databases, header
from benchmarks.options import parse
from benchmarks.own.statements import statements
from benchmarks.report import markdown
from benchmarks.targets import ON_THE_ORM, TARGETS
from benchmarks.workloads import DEFAULT, QUICK, WORKLOADS
from benchmarks.workloads.percentiles import percentiles

WORKLOADS_BY_NAME = {workload.name: workload for workload in WORKLOADS}


@pytest.mark.parametrize("name", header.names())
def test_every_contender_says_what_to_install_and_how_its_worker_is_started(name):
    contender = header.read_header(name)

    assert contender.dependencies
    assert contender.worker
    assert contender.remark
    assert set(contender.databases) <= set(databases.NAMES)
    assert bool(contender.future_table) == bool(contender.due_column)


def test_this_project_comes_first():
    assert header.names()[0] == "ours"


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: f"{target.workload}-{target.database}-{target.column}")
def test_every_target_is_of_something_that_is_measured(target):
    workload = WORKLOADS_BY_NAME[target.workload]

    assert target.database in workload.databases
    assert target.column in {column.title for column in workload.columns}
    assert set(target.peers) <= set(header.names())


def test_the_peers_on_the_orm_are_those_that_use_django():
    peers = [contender for name in header.names() if not (contender := header.read_header(name)).is_floor]

    assert {peer.name for peer in peers if peer.uses_django and peer.name != "ours"} == set(ON_THE_ORM)


def test_the_number_of_processes_is_filled_into_settings():
    settings = {"workers": header.PROCESSES, "pools": [{"processes": header.PROCESSES}], "name": "x"}

    assert header.fill_in(settings, 2) == {"workers": 2, "pools": [{"processes": 2}], "name": "x"}


def test_only_a_run_of_everything_is_published():
    assert parse([]).is_complete
    assert parse([]).size == DEFAULT
    assert not parse(["--quick"]).is_complete
    assert parse(["--quick"]).size == QUICK
    assert not parse(["--peers", "ours,huey"]).is_complete
    assert not parse(["--functions", "10"]).is_complete


def test_an_unknown_peer_is_refused_with_those_that_there_are(capsys):
    with pytest.raises(SystemExit):
        parse(["--peers", "ours,hue"])

    assert "unknown: hue; there are ours" in capsys.readouterr().err


def test_percentiles_are_times_that_were_measured():
    assert percentiles([second / 1000 for second in range(1, 101)]) == {"p50 ms": 50, "p95 ms": 95, "p99 ms": 99}
    assert percentiles([0.002]) == {"p50 ms": 2, "p95 ms": 2, "p99 ms": 2}


def test_the_times_of_a_statement_are_read_from_the_log_of_the_server():
    log = [
        "arena LOG:  duration: 0.100 ms  parse <unnamed>: SELECT 1 WHERE a = $1",
        "arena LOG:  duration: 0.200 ms  bind <unnamed>: SELECT 1 WHERE a = $1",
        "arena LOG:  duration: 0.300 ms  execute <unnamed>: SELECT 1 WHERE a = $1",
        "arena DETAIL:  parameters: $1 = '7'",
        "other LOG:  duration: 9.000 ms  statement: SELECT 1 WHERE a = 8",
        "arena LOG:  duration: 1.000 ms  statement: SELECT 1 WHERE a = 9",
    ]

    (found,) = statements(log, "arena")

    assert (found.calls, found.text) == (2, "SELECT ? WHERE a = ?")
    assert found.total == pytest.approx(1.6)


def test_a_table_has_its_numbers_on_the_right():
    assert markdown([["name", "each"], ["a", "1,000"], ["bcdef", "2.5"]]) == [
        "| name  |  each |",
        "| ----- | ----: |",
        "| a     | 1,000 |",
        "| bcdef |   2.5 |",
    ]
