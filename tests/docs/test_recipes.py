"""The recipes of ``docs/recipes.md``, word for word, in a project with two executor processes.

Those for payments are in ``test_payments.py``.
"""

import gzip
import json
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from tests.docs.blocks import ROOT, blocks
from tests.support import forked_processes

for library in ("pythonjsonlogger", "sentry_sdk", "prometheus_client"):
    pytest.importorskip(library)

pytestmark = [pytest.mark.timeout(120), pytest.mark.once, pytest.mark.thorough]

PAGE = ROOT / "docs/recipes.md"

BEFORE = """
from tests.settings import *

INSTALLED_APPS = [*INSTALLED_APPS, "shop"]
ROOT_URLCONF = "shop.urls"
"""

FUNCTIONS = """

import logging
import sentry_sdk
from django_scheduler import Backoff, Retry, action, mutation
from django_scheduler.errors import TransientError


@mutation
def restock(ctx, *, item: str) -> None:
    logging.getLogger("shop").info("counted %s", item)


@action
def charge(ctx, *, order_id: int, password: str) -> None:
    sentry_sdk.set_tag("customer", "ann")
    sentry_sdk.add_breadcrumb(message="asked the bank")
    raise ValueError(f"the bank refuses {password}")


@action
async def deliver(ctx) -> None:
    sentry_sdk.set_tag("customer", "bob")
    raise LookupError("no such street")


@action(retry=Retry(max_attempts=3, backoff=Backoff(initial=0.01)), idempotent=True)
def fetch(ctx) -> None:
    sentry_sdk.set_tag("attempted", "yes")
    if ctx.attempt < 3:
        raise ConnectionError("the courier does not answer")


@action
def ask_again(ctx) -> None:
    if ctx.attempt == 1:
        raise TransientError("not yet", after=0)


@mutation
def archive(ctx) -> None:
    sentry_sdk.capture_message("archived")
    raise RuntimeError("no room")
"""

MIGRATE_AND_SCHEDULE = """
import django
django.setup()
from django.core.management import call_command
from django_scheduler import ctx

call_command("migrate", verbosity=0)
for number in range(20):
    ctx.scheduler.run_after(0, "shop:restock", item=f"cup {number}")
ctx.scheduler.run_after(0, "shop:charge", order_id=7, password="sesame")
for name in ("deliver", "fetch", "ask_again", "archive", "write_report"):
    ctx.scheduler.run_after(0, f"shop:{name}")
"""

WAIT_FOR_THE_END = """
import django
django.setup()
from django_scheduler.models import ScheduledFunction
from tests.support.waiting import wait_until

wait_until(lambda: not ScheduledFunction.objects.filter(completed_time=None).exists(), "all ended", timeout=50)
"""

ASK = """
import json
import django
django.setup()
from django.test import Client

answers = {}
for name, path, headers in (
    ("metrics", "/metrics/", {}),
    ("health", "/health/scheduler/", {}),
    ("status", "/health/scheduler/status/", {"Authorization": "Bearer token"}),
    ("without", "/health/scheduler/status/", {}),
    ("wrong", "/health/scheduler/status/", {"Authorization": "Bearer other"}),
):
    response = Client(SERVER_NAME="localhost").get(path, headers=headers)
    answers[name] = [response.status_code, response.content.decode()]
print(json.dumps(answers))
"""


@dataclass
class Run:
    """What was seen while the project ran, and after that."""

    lines: list[str] = field(default_factory=list)
    #: What Sentry was sent, as pairs of a type and an item.
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    scraped: str = ""
    #: What pages answered while executors ran, and when they had ended.
    at_work: dict[str, list[Any]] = field(default_factory=dict)
    afterwards: dict[str, list[Any]] = field(default_factory=dict)
    probe: int = -1

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    def of(self, function: str) -> list[dict[str, Any]]:
        return [record for record in self.records if record.get("function") == f"shop:{function}"]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [item for kind, item in self.sent if kind == "event"]


@contextmanager
def sentry(sent: list[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    """A server that keeps what it is sent, and its address for the SDK."""

    class Sentry(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            text = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            _, *rest = text.decode().splitlines()
            for head, item in zip(rest[::2], rest[1::2], strict=False):
                sent.append((json.loads(head)["type"], json.loads(item)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Sentry) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://key@127.0.0.1:{server.server_port}/1"
        finally:
            server.shutdown()
            thread.join()


def write_project(directory: Path) -> None:
    (directory / "shop").mkdir()
    (directory / "shop/__init__.py").touch()
    files: dict[str, list[str]] = {"shop/settings.py": [BEFORE]}
    for block in blocks(PAGE, "python"):
        assert block.title, f"{block} does not say in which file it is"
        if block.title.startswith(("payments/", "receipts/")):
            continue
        files.setdefault(block.title, []).append(block.text)
    files["shop/functions.py"].append(FUNCTIONS)
    for name, texts in files.items():
        (directory / name).write_text("\n".join(texts))


class Processes:
    """Starts processes of the project, which is imported once for all of them."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = {**os.environ, **environment}
        self._server = forked_processes.ForkServer(environment=environment)

    def close(self) -> None:
        self._server.close()

    def run(self, code: str) -> str:
        """What a program writes."""
        ended = forked_processes.run(["-c", code], self._environment, by=self._server)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    @contextmanager
    def running(self, *arguments: str, log: Path) -> Iterator[forked_processes.ForkedProcess]:
        """Run a command of ``manage.py``."""
        command = ["-m", "django", *arguments]
        with (
            log.open("wb") as output,
            forked_processes.start(
                command, self._environment, stdout=output, stderr=output, process_group=0, by=self._server
            ) as started,
        ):
            try:
                yield started
            finally:
                started.send_signal(signal.SIGTERM)
                try:
                    started.wait(40)
                finally:
                    started.kill()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The project, with everything scheduled and executed."""
    directory, seen = tmp_path_factory.mktemp("recipes"), Run()
    write_project(directory)
    (directory / "metrics").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    alive = directory / "alive"
    with ExitStack() as stack:
        environment = {
            **forked_processes.ENVIRONMENT,
            "PYTHONPATH": os.pathsep.join([str(directory), str(ROOT)]),
            "DJANGO_SETTINGS_MODULE": "shop.settings",
            "DATABASE_URL": f"sqlite:///{directory / 'shop.sqlite3'}",
            "SENTRY_DSN": stack.enter_context(sentry(seen.sent)),
            "MONITOR_TOKEN": "token",
            "PROMETHEUS_MULTIPROC_DIR": str(directory / "metrics"),
        }
        processes = stack.enter_context(closing(Processes(environment)))
        processes.run(MIGRATE_AND_SCHEDULE)
        log = directory / "log"
        with (
            processes.running("scheduler_metrics", f"--port={port}", log=directory / "metrics.log"),
            processes.running("runscheduler", "--processes=2", "--alive-file", str(alive), log=log) as executors,
        ):
            processes.run(WAIT_FOR_THE_END)
            with urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
                seen.scraped = answer.read().decode()
            seen.at_work = json.loads(processes.run(ASK))
            seen.probe = subprocess.run(["sh", "-c", probe_of_kubernetes(alive)], check=False).returncode
            executors.send_signal(signal.SIGTERM)
            assert executors.wait(40) == 0, log.read_text()
        seen.afterwards = json.loads(processes.run(ASK))
        seen.lines = log.read_text().splitlines()
    return seen


def probe_of_kubernetes(alive: Path) -> str:
    """The command of the probe that ``docs/deploying.md`` shows."""
    (text,) = re.findall(r"exec: \{command: \[\"sh\", \"-c\", '(.*)'\]\}", (ROOT / "docs/deploying.md").read_text())
    return str(text).replace("/tmp/scheduler-alive", str(alive))


# JSON logs


def test_each_line_of_the_log_is_json_with_the_keys_of_the_documentation(run):
    assert {"time", "level", "name", "message", "process"} <= set.intersection(*map(set, run.records))
    (record,) = [record for record in run.of("charge") if record["level"] == "ERROR"]
    assert (record["name"], record["queue"], record["attempt"]) == ("django_scheduler.executor", "default", 1)
    assert (record["state"], record["failure"]) == ("failed", "error")
    assert isinstance(record["function_id"], int)
    assert record["duration"] >= 0
    assert record["lag"] >= 0


def test_each_process_writes_to_the_same_log(run):
    started = [record for record in run.records if "concurrency" in record]
    assert len({record["process"] for record in started}) == 2
    assert {record["executor"] for record in run.of("restock")} <= {record["executor"] for record in started}
    assert len(run.of("restock")) == 20
    assert len([record for record in run.records if record["message"].startswith("counted cup")]) >= 20


def test_a_traceback_is_a_field_in_which_secrets_are_masked(run):
    (record,) = [record for record in run.of("charge") if record["level"] == "ERROR"]
    assert "ValueError: the bank refuses" in record["traceback"]
    assert "in charge" in record["traceback"]
    assert "sesame" not in "\n".join(run.lines)


# Sentry


def test_an_error_of_a_body_is_reported_once_with_the_function_as_tags(run):
    (event,) = [event for event in run.events if event["tags"]["function"] == "shop:charge"]
    assert event["exception"]["values"][-1]["type"] == "ValueError"
    tags = event["tags"]
    assert (tags["attempt"], tags["queue"], tags["failure"]) == ("1", "default", "error")
    assert int(tags["function_id"]) == run.of("charge")[0]["function_id"]
    assert event["transaction"] == "shop:charge"


def test_an_attempt_that_is_repeated_is_no_error(run):
    assert len(run.of("fetch")) == 3
    assert len(run.of("ask_again")) == 2
    reported = {event["tags"]["function"] for event in run.events}
    assert reported == {"shop:charge", "shop:archive", "shop:deliver"}


def test_what_a_body_notes_is_reported_with_it_and_with_no_other(run):
    (charged,) = [event for event in run.events if event["tags"]["function"] == "shop:charge"]
    assert charged["tags"]["customer"] == "ann"
    assert "asked the bank" in [crumb.get("message") for crumb in charged["breadcrumbs"]["values"]]
    (delivered,) = [event for event in run.events if event["tags"]["function"] == "shop:deliver"]
    assert delivered["tags"]["customer"] == "bob"
    for event in run.events:
        assert "attempted" not in event["tags"]
        if event["tags"]["function"] == "shop:archive":
            assert "customer" not in event["tags"]
        noted = [str(crumb.get("message")) for crumb in event.get("breadcrumbs", {}).get("values", ())]
        assert ("asked the bank" in noted) == (event is charged)
        assert not any("shop:" in message for message in noted), "what the executor has logged about others"


def test_what_a_body_reports_itself_has_the_tags_of_its_attempt(run):
    messages = [event for event in run.events if event.get("message") == "archived"]
    assert messages
    assert {event["tags"]["function"] for event in messages} == {"shop:archive"}


def test_a_cron_checks_in(run):
    check_ins = [item for kind, item in run.sent if kind == "check_in"]
    assert [(item["monitor_slug"], item["status"]) for item in check_ins] == [
        ("nightly-report", "in_progress"),
        ("nightly-report", "ok"),
    ]


# Prometheus


def test_one_address_has_what_all_executors_have_counted_and_what_is_in_the_database(run):
    assert (
        'django_scheduler_finished_total{failure="",function="shop:restock",kind="mutation",state="success"} 20.0'
        in (run.scraped)
    )
    assert 'django_scheduler_executors{state="alive"} 2.0' in run.scraped
    assert "django_scheduler_healthy 1.0" in run.scraped


def test_the_page_of_the_site_has_the_same(run):
    status, text = run.at_work["metrics"]
    assert status == 200
    assert "django_scheduler_healthy 1.0" in text
    assert 'function="shop:restock"' in text


def test_the_rules_ask_for_metrics_that_there_are(run):
    texts = [block.text for block in blocks(PAGE, "yaml")]
    (rules,) = (yaml.safe_load(text)["groups"][0]["rules"] for text in texts if "groups:" in text)
    asked = {name for rule in rules for name in re.findall(r"django_scheduler_\w+", rule["expr"])}
    assert len(asked) == len(rules)
    assert {name for name in asked if name not in run.scraped} == set()
    (scraped,) = (yaml.safe_load(text)["scrape_configs"] for text in texts if "scrape_configs:" in text)
    assert [job.get("metrics_path", "/metrics") for job in scraped] == ["/metrics/", "/metrics"]


def test_the_page_for_gunicorn_forgets_the_gauges_of_a_worker_that_has_ended(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    (tmp_path / "gauge_liveall_4711.db").touch()
    tell_gunicorn_of_the_end_of_a_worker()
    assert not list(tmp_path.iterdir())


def test_the_page_for_gunicorn_raises_nothing_where_there_are_no_metrics(monkeypatch):
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    tell_gunicorn_of_the_end_of_a_worker()


def tell_gunicorn_of_the_end_of_a_worker() -> None:
    (hook,) = (block for block in blocks(PAGE, "python") if block.title == "gunicorn.conf.py")
    module: dict[str, Any] = {}
    exec(compile("\n" * hook.line + hook.text, str(PAGE), "exec"), module)
    module["child_exit"](None, type("Worker", (), {"pid": 4711}))


# Health checks


def test_a_monitor_is_told_what_is_wrong_and_everybody_else_whether_it_is_healthy(run):
    assert run.at_work["health"] == [200, '{"healthy": true}']
    assert run.afterwards["health"] == [503, '{"healthy": false}']
    status, text = run.at_work["status"]
    told = json.loads(text)
    assert (status, told["healthy"], told["executors"], told["problems"]) == (200, True, 2, [])
    status, text = run.afterwards["status"]
    told = json.loads(text)
    assert (status, told["healthy"], told["executors"]) == (503, False, 0)
    assert told["problems"][0]["code"] == "no_executor"
    assert run.at_work["without"][0] == run.at_work["wrong"][0] == 404


def test_the_probe_of_an_executor_looks_at_its_file(run):
    assert run.probe == 0
