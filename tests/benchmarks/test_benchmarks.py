"""The benchmarks themselves are run by hand; here is what can be known without running a contender."""

import pytest

from benchmarks import databases, header, results
from benchmarks.options import QUICK_PEERS, parse
from benchmarks.own.statements import statements
from benchmarks.report import markdown
from benchmarks.results import Result, Results
from benchmarks.rounds import Figure, Rounds
from benchmarks.run import in_turn
from benchmarks.targets import CLAIM_EACH, ON_THE_ORM, TARGETS
from benchmarks.workloads import DEFAULT, QUICK, WORKLOADS, Column
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
    assert set(target.times) <= set(header.names())


def test_the_peers_on_the_orm_are_those_that_use_django():
    peers = [contender for name in header.names() if not (contender := header.read_header(name)).is_floor]

    assert {peer.name for peer in peers if peer.uses_django and peer.name != "ours"} == set(ON_THE_ORM)


def test_the_peers_that_commit_each_claim_are_named():
    peers = [contender for name in header.names() if (contender := header.read_header(name)).claim == 1]

    assert {peer.name for peer in peers if peer.name != "ours"} == set(CLAIM_EACH)


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
    assert not parse(["--rounds", "1"]).is_complete


def test_a_quick_run_has_few_peers_unless_it_is_told_otherwise():
    assert parse(["--quick"]).contenders == QUICK_PEERS
    assert set(QUICK_PEERS) < set(header.names())
    assert parse(["--quick", "--peers", "all"]).contenders == header.names()


def test_an_unknown_peer_is_refused_with_those_that_there_are(capsys):
    with pytest.raises(SystemExit):
        parse(["--peers", "ours,hue"])

    assert "unknown: hue; there are ours" in capsys.readouterr().err


def test_a_run_has_three_rounds_and_a_quick_one_has_one():
    assert parse([]).rounds == 3
    assert parse(["--quick"]).rounds == 1
    assert parse(["--quick", "--rounds", "2"]).rounds == 2


def test_each_round_begins_with_another_contender():
    headers = [header.read_header(name) for name in header.names()]
    orders = [in_turn(headers, number, 3) for number in range(3)]

    assert len({order[0].name for order in orders}) == 3
    assert all(sorted(order, key=headers.index) == headers for order in orders)


def test_what_was_measured_is_kept_for_a_run_that_is_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "DIRECTORY", tmp_path)
    measured = Result(figures={"rate": 2.5}, remark="2 of 3")
    Results(resume=True).put("sqlite", "latency", "ours", 1, measured)

    assert Results(resume=True).get("sqlite", "latency", "ours", 1) == measured
    assert Results(resume=True).get("sqlite", "latency", "ours", 0) is None
    assert Results(resume=False).get("sqlite", "latency", "ours", 1) is None


def rounds_of(**rates):
    rounds = Rounds()
    for contender, figures in rates.items():
        for number, figure in enumerate(figures):
            rounds.add(contender, number, Result(figures={"rate": figure}) if figure else Result(problem="it ended"))
    return rounds


def test_a_contender_that_is_far_behind_in_the_first_round_is_measured_once():
    rounds = rounds_of(ours=[100, 10], huey=[33], oban=[34, 1], dead=[None])
    rate, time = Column(title="rate", more_is_better=True), Column(title="rate", more_is_better=False)
    assert [each for each in rounds.results if rounds.is_far_behind(each, rate)] == ["huey"]
    assert not any(rounds.is_far_behind(each, time) for each in rounds.results)
    assert rounds_of(ours=[1], huey=[4]).is_far_behind("huey", time)


def test_a_figure_is_the_median_of_its_rounds_with_the_least_and_the_most():
    assert rounds_of(ours=[3, 1, 2]).figure("ours", "rate") == Figure(2, 1, 3)
    assert rounds_of(ours=[3]).figure("ours", "rate") == Figure(3, 3, 3)
    assert rounds_of(ours=[None]).figure("ours", "rate") is None


def test_a_ratio_is_taken_round_by_round_against_the_best_of_each():
    rate, time = Column(title="rate", more_is_better=True), Column(title="rate", more_is_better=False)
    # The second minute was a slow one, for all of them.
    rounds = rounds_of(ours=[100, 10, 120], huey=[50, 20, 40], oban=[40, 5, 60])

    assert rounds.times("ours", ["huey", "oban"], rate) == 2
    assert rounds.times("ours", ["huey", "oban"], time) == 0.4
    assert rounds.times("ours", ["celery"], rate) is None


def test_a_round_that_failed_is_left_out_and_said():
    rounds = rounds_of(ours=[100, None, 120], huey=[50, 1000, 40])

    assert rounds.figure("ours", "rate") == Figure(110, 100, 120)
    assert rounds.times("ours", ["huey"], Column(title="rate", more_is_better=True)) == 2.5
    assert rounds.remark("ours") == "1 of 3 rounds failed: it ended"
    assert rounds.remark("huey") == ""


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
    assert markdown([["name", "each"], ["a", "7 (6-8)"]])[1] == "| ---- | ------: |"
