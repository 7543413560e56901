"""``docker compose up`` in the root of the repository opens the shop: on PostgreSQL, with an executor."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import yaml
from django.contrib.auth.models import User
from django.core.management import call_command, get_commands, load_command_class

from django_scheduler.models import Executor, ScheduledFunction, State
from testproject.demo.preparation import SHELVES
from testproject.orders.models import Order, Product
from tests.docs.blocks import ROOT, blocks
from tests.support.waiting import wait_until

pytestmark = pytest.mark.once

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
ALIVE = "/tmp/scheduler-alive"

#: What an image is made with, as far as ours needs it.
INSTRUCTIONS = {"FROM", "ENV", "WORKDIR", "COPY", "RUN", "USER", "CMD"}


def instructions() -> list[tuple[str, str]]:
    lines = [line for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
    pairs = [line.partition(" ") for line in "\n".join(lines).replace("\\\n", " ").splitlines()]
    return [(name, value) for name, _, value in pairs]


def commands_of(service: str) -> list[list[str]]:
    """What a service runs: one command, or what a shell is to run one after the other."""
    command = SERVICES[service]["command"]
    return [shlex.split(each) for each in command[2].split("&&")] if command[0] == "sh" else [command]


def parse(command: list[str]) -> Any:
    python, manage, name, *arguments = command
    assert (python, manage) == ("python", "manage.py")
    app = get_commands()[name]
    loaded = load_command_class(app, name) if isinstance(app, str) else app
    return loaded.create_parser("manage.py", name).parse_args(arguments)


# compose.yaml


@pytest.mark.parametrize("service", ["migrate", "web", "executor"])
def test_each_service_runs_commands_that_take_their_options(service):
    for command in commands_of(service):
        parse(command)


def test_a_service_begins_once_what_it_needs_is_there():
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            assert condition in ("service_healthy", "service_completed_successfully"), name
            assert (condition == "service_healthy") == ("healthcheck" in SERVICES[needed]), needed
    needs = {name: set(service.get("depends_on", {})) for name, service in SERVICES.items()}
    assert needs == {"database": set(), "migrate": {"database"}, "web": {"migrate"}, "executor": {"migrate"}}


def test_the_shop_finds_its_database():
    for name in ("migrate", "web", "executor"):
        url = urlsplit(SERVICES[name]["environment"]["DATABASE_URL"])
        server = SERVICES["database"]["environment"]
        assert url.hostname in SERVICES
        assert (url.username, url.password) == (server["POSTGRES_USER"], server["POSTGRES_PASSWORD"])
        assert url.path == f"/{server['POSTGRES_DB']}"
    (volume,) = SERVICES["database"]["volumes"]
    assert volume.partition(":")[0] in COMPOSE["volumes"]


def test_an_executor_is_given_more_time_to_end_than_its_bodies_have():
    grace = parse(SERVICES["executor"]["command"]).grace
    assert int(SERVICES["executor"]["stop_grace_period"].removesuffix("s")) > grace


def test_the_probe_looks_at_the_file_that_the_executor_touches():
    assert parse(SERVICES["executor"]["command"]).alive_file == Path(ALIVE)
    _shell, probe = SERVICES["executor"]["healthcheck"]["test"]
    assert ALIVE in probe


def test_a_demonstration_whose_password_everybody_knows_is_not_open_to_the_network():
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


# The image


def test_the_image_begins_as_a_user_and_without_a_shell():
    assert {name for name, _ in instructions()} <= INSTRUCTIONS
    last = dict(instructions())
    assert last["USER"] not in ("root", "0")
    assert [name for name, _ in instructions()][-2:] == ["USER", "CMD"]
    parse(json.loads(last["CMD"]))
    assert json.loads(last["CMD"]) == SERVICES["executor"]["command"]


def test_the_image_is_made_of_what_there_is_and_of_what_docker_is_sent():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line[1:] for line in ignored if line.startswith("!")}
    copied = [source for name, value in instructions() if name == "COPY" for source in value.split()[:-1]]
    assert set(copied) == sent
    assert all((ROOT / source).exists() for source in copied)
    assert copied[0] == "pyproject.toml", "a change of the code installs everything anew"


def test_what_the_image_installs_is_what_the_package_and_the_shop_say(tmp_path):
    (run,) = (value for name, value in instructions() if name == "RUN" and "tomllib" in value)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    script, _, pip = run.partition(" > requirements.txt")
    listed = subprocess.run(
        [sys.executable, *shlex.split(script)[1:]], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.split("\n")
    assert [re.split(r"[>\[]", line)[0] for line in listed if line] == [
        "Django",
        "cronsim",
        "django-environ",
        "psycopg",
    ]
    assert "pip install --requirement requirements.txt" in pip


def test_the_image_has_no_key_that_everybody_can_read():
    environment = " ".join(value for name, value in instructions() if name == "ENV").split()
    assert "DEBUG=False" in environment
    ended = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DEBUG": "False", "DATABASE_URL": "sqlite:///unused.sqlite3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode != 0
    assert "SECRET_KEY" in ended.stderr


# The documentation


def test_the_documentation_shows_what_the_files_have():
    page = ROOT / "docs/deploying.md"
    (dockerfile,) = blocks(page, "dockerfile")
    shown = dict(line.split(" ", 1) for line in dockerfile.text.splitlines())
    used = dict(instructions())
    assert (shown["FROM"], shown["CMD"]) == (used["FROM"], used["CMD"])
    (compose,) = (block for block in blocks(page, "yaml") if "services:" in block.text)
    for name, service in yaml.safe_load(compose.text)["services"].items():
        for key, value in service.items():
            assert SERVICES[name][key] == value, f"{name}: {key}"


# It runs


@pytest.mark.django_db
def test_the_shelves_of_a_shop_that_has_sold_something_are_not_filled_again():
    Product.objects.all().delete()
    call_command("openshop", stdout=StringIO())
    Product.objects.filter(name="Vase").update(stock=0)
    said = StringIO()
    call_command("openshop", stdout=said)
    assert dict(Product.objects.values_list("name", "stock")) == {"Cups": 20, "Teapot": 20, "Vase": 0}
    assert User.objects.get(username="admin").check_password("admin")
    assert "admin, with the password admin" in said.getvalue()


def answer(port: int, path: str, form: dict[str, str] | None = None, cookie: str = "") -> tuple[int, str, str]:
    """The status, the text and the cookie that the shop answers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"Cookie": cookie, "Host": f"localhost:{port}"}
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        connection.request("GET" if form is None else "POST", path, urlencode(form or {}), headers)
        response = connection.getresponse()
        return response.status, response.read().decode(), (response.getheader("Set-Cookie") or "").partition(";")[0]
    finally:
        connection.close()


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(service: str, environment: dict[str, str], replaced: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command of a service as a process of this machine."""
    (command,) = commands_of(service)
    arguments = [replaced.get(argument, argument) for argument in command[1:]]
    with subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, process_group=0) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.timeout(180)
@pytest.mark.thorough
@pytest.mark.only_on("postgresql")
def test_an_order_is_confirmed_by_what_compose_would_start(child_environment, tmp_path):
    Product.objects.all().delete()
    environment = child_environment | {
        **SERVICES["executor"]["environment"],
        "DATABASE_URL": child_environment["DATABASE_URL"],
        "DJANGO_SETTINGS_MODULE": "testproject.settings",
        "MAILS": str(tmp_path / "mails"),
    }
    for command in commands_of("migrate"):
        subprocess.run([sys.executable, *command[1:]], cwd=ROOT, env=environment, check=True, capture_output=True)
    assert set(Product.objects.values_list("name", flat=True)) == set(SHELVES)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    alive = tmp_path / "alive"
    with ExitStack() as stack:
        web = stack.enter_context(running("web", environment, {"0.0.0.0:8000": f"127.0.0.1:{port}"}))
        executor = stack.enter_context(running("executor", environment, {ALIVE: str(alive)}))
        wait_until(lambda: listens(port), "the shop opened", timeout=60)
        _, page, cookie = answer(port, "/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert token
        form = {"csrfmiddlewaretoken": token[1], "email": "ann@shop.example", "items": "Teapot"}
        assert answer(port, "/", form, cookie)[0] == 302
        order = Order.objects.get()
        confirmations = ScheduledFunction.objects.filter(name="orders:send_confirmation", state=State.SUCCESS)
        wait_until(confirmations.exists, "the order was confirmed", timeout=60)
        assert confirmations.get().decoded_args() == {"order_id": order.pk}
        assert list((tmp_path / "mails").iterdir())
        assert answer(port, "/admin/login/")[0] == 200
        probe = SERVICES["executor"]["healthcheck"]["test"][1].replace("$$", "$").replace(ALIVE, str(alive))
        assert subprocess.run(["sh", "-c", probe], check=False).returncode == 0
        web.send_signal(signal.Signals[SERVICES["web"]["stop_signal"]])
        executor.terminate()
        assert executor.wait(60) == 0
        assert web.wait(30) == 0
    assert not Executor.objects.exists()


def compose(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", "compose", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=850, check=False
    )


def test_docker_understands_the_file():
    if shutil.which("docker") is None or compose("version").returncode:
        pytest.skip("`docker compose` is not installed here")
    ended = compose("config", "--quiet")
    assert ended.returncode == 0, ended.stderr


@pytest.mark.timeout(900)
def test_the_containers_start_and_stop():
    if shutil.which("docker") is None or compose("version").returncode or compose("ls").returncode:
        pytest.skip("no engine of Docker answers here")
    project = ("--project-name", f"shop-test-{os.getpid()}")
    try:
        # Without the web server, whose port may be taken here.
        up = compose(*project, "up", "--build", "--detach", "executor")
        assert up.returncode == 0, up.stderr
        status = ("exec", "-T", "executor", "python", "manage.py", "scheduler_status")
        wait_until(lambda: compose(*project, *status).returncode == 0, "an executor was alive", timeout=60)
        compose(*project, "stop", "executor")
        ended = json.loads(compose(*project, "ps", "--all", "--format", "json", "executor").stdout.splitlines()[0])
        assert ended["ExitCode"] == 0
    finally:
        compose(*project, "down", "--volumes", "--rmi", "local")
