"""Metrics, as Prometheus reads them."""

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import modify_settings
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from django_scheduler import Backoff, Context, Retry, action, ctx
from django_scheduler.contrib.prometheus.metrics import exported, register
from django_scheduler.pausing import pause
from django_scheduler.signals import attempt_failed, function_finished, function_scheduled
from tests.admin import limited_functions  # noqa: F401  (declares the limits)
from tests.functions import note, note_and_raise, write, write_with_priority
from tests.status.records import (
    be_due_for,
    put_silent_executor_on_record,
    put_starts_on_record,
    put_waiting_on_record,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@action(retry=Retry(3, backoff=Backoff(initial=0)))
def succeed_in_third_attempt(ctx: Context) -> None:
    if ctx.attempt != 3:
        raise ValueError("not yet")


@pytest.fixture
def registry():
    registry = CollectorRegistry()
    metrics = register(registry)
    yield registry
    function_scheduled.disconnect(metrics.count_scheduled)
    attempt_failed.disconnect(metrics.count_failed_attempt)
    function_finished.disconnect(metrics.count_finished)


def test_status_is_read_when_it_is_scraped(registry):
    ctx.scheduler.run_after_many(timedelta(hours=1), write, [{"label": "later"}] * 2)
    be_due_for(ctx.scheduler.run_after(0, write_with_priority, label="due"), 100)
    put_silent_executor_on_record()

    text = generate_latest(registry).decode()

    assert 'django_scheduler_pending{queue="default"} 2.0' in text
    assert 'django_scheduler_due{queue="email"} 1.0' in text
    assert 'django_scheduler_lag_seconds{queue="email"} 10' in text
    assert "django_scheduler_running 0.0" in text
    assert 'django_scheduler_executors{state="stale"} 1.0' in text
    assert "django_scheduler_held_threads 0.0" in text
    assert "django_scheduler_open_batches 0.0" in text


def test_limits_are_measured_by_name(registry):
    put_waiting_on_record("bank [7]", 100)
    put_waiting_on_record("bank [8]", 100)

    text = generate_latest(registry).decode()

    assert 'django_scheduler_limit_waiting{limit="bank"} 2.0' in text
    assert 'django_scheduler_limit_running{limit="bank"} 0.0' in text
    assert 'django_scheduler_limit_size{limit="bank"} 2.0' in text
    assert "[7]" not in text


def test_rate_limits_are_measured_by_name(registry):
    put_waiting_on_record("bank rate [7]", 100)
    put_starts_on_record("bank rate [7]", 1, 2)
    put_waiting_on_record("former rate [7]", 100)

    text = generate_latest(registry).decode()

    assert 'django_scheduler_rate_limit_waiting{limit="bank"} 1.0' in text
    assert 'django_scheduler_rate_limit_started{limit="bank"} 2.0' in text
    assert 'django_scheduler_rate_limit_size{limit="bank"} 10.0' in text
    assert 'django_scheduler_limit_waiting{limit="bank"} 0.0' in text
    assert 'django_scheduler_rate_limit_waiting{limit="former"} 1.0' in text
    assert 'django_scheduler_rate_limit_size{limit="former"}' not in text
    assert "[7]" not in text


def test_scrape_leaves_no_connection_open_in_a_thread_that_is_not_djangos(registry):
    def scrape():
        text = generate_latest(registry).decode()
        return text, connection.connection

    with ThreadPoolExecutor(1) as server:
        text, left_open = server.submit(scrape).result()

    assert "django_scheduler_running 0.0" in text
    assert left_open is None


def test_scrape_leaves_an_open_connection_open(registry):
    connection.ensure_connection()
    generate_latest(registry)

    assert connection.connection is not None


def test_what_this_process_schedules_and_finishes_is_counted(registry, execute_due):
    ctx.scheduler.run_after_many(0, note, [{"label": "noted"}] * 2)
    ctx.scheduler.run_after(0, note_and_raise, label="failed")
    execute_due()

    noted = {"function": "tests:note", "kind": "action"}
    failed = {"function": "tests:note_and_raise", "kind": "action", "state": "failed", "failure": "error"}
    sample = registry.get_sample_value
    assert sample("django_scheduler_scheduled_total", {**noted, "queue": "default"}) == 2
    assert sample("django_scheduler_finished_total", {**noted, "state": "success", "failure": ""}) == 2
    assert sample("django_scheduler_finished_total", failed) == 1
    assert sample("django_scheduler_duration_seconds_count", noted) == 2
    assert sample("django_scheduler_start_lag_seconds_count", noted) == 2


def test_attempts_that_failed_are_counted_apart_from_successes(registry, execute_due):
    ctx.scheduler.run_after(0, succeed_in_third_attempt)
    execute_due()

    labels = {"function": "tests:succeed_in_third_attempt", "kind": "action"}
    sample = registry.get_sample_value
    assert sample("django_scheduler_failed_attempts_total", {**labels, "failure": "error"}) == 2
    assert sample("django_scheduler_finished_total", {**labels, "state": "success", "failure": ""}) == 1
    assert sample("django_scheduler_duration_seconds_count", labels) == 1


def test_app_registers_them_with_the_registry_of_the_process():
    signals = (function_scheduled, attempt_failed, function_finished)
    before = [list(signal.receivers) for signal in signals]
    collectors = set(REGISTRY._collector_to_names)
    try:
        with modify_settings(INSTALLED_APPS={"append": "django_scheduler.contrib.prometheus"}):
            assert apps.is_installed("django_scheduler.contrib.prometheus")
            assert "django_scheduler_running 0.0" in generate_latest(REGISTRY).decode()
    finally:
        for collector in set(REGISTRY._collector_to_names) - collectors:
            REGISTRY.unregister(collector)
        for signal, receivers in zip(signals, before, strict=True):
            signal.receivers[:] = receivers
            signal.sender_receivers_cache.clear()


def test_multiprocess_mode_exports_what_all_processes_count_and_what_is_in_the_database(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    count = "from prometheus_client import Counter; Counter('django_scheduler_of_a_process', '').inc()"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", count], check=True)
    put_silent_executor_on_record()

    text = generate_latest(exported()).decode()

    assert "django_scheduler_of_a_process_total 2.0" in text
    assert 'django_scheduler_executors{state="stale"} 1.0' in text


def test_problems_and_health_are_metrics(registry):
    pause("default", "email")

    text = generate_latest(registry).decode()

    assert "django_scheduler_healthy 0.0" in text
    assert 'django_scheduler_problems{code="no_executor"} 1.0' in text
    assert 'django_scheduler_problems{code="paused"} 1.0' in text
    assert 'django_scheduler_problems{code="late"} 0.0' in text


def test_command_that_serves_them_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    with pytest.raises(CommandError, match="PROMETHEUS_MULTIPROC_DIR is not set"):
        call_command("scheduler_metrics")

    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    said = StringIO()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"cannot be served at 127.0.0.1:{port}"):
            call_command("scheduler_metrics", port=port, stderr=said)
    assert "'django_scheduler.contrib.prometheus' is not in INSTALLED_APPS" in said.getvalue()


WITHOUT_THE_LIBRARY = """
import sys
from io import StringIO
sys.modules["prometheus_client"] = None  # as if it were not installed
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django_scheduler", *sys.argv[1:]],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "scheduler_metrics"])
"""


@pytest.mark.parametrize("others", [[], ["django_scheduler.contrib.prometheus"]])
def test_without_the_library_the_answer_is_what_to_install(others):
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_LIBRARY, *others], capture_output=True, text=True, timeout=50, check=False
    )
    assert ended.returncode == 1
    assert 'pip install "django-ctx-scheduler[prometheus]"' in ended.stderr
