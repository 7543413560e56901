"""The recipes for payments and mails in ``docs/recipes.md``, and what ``docs/testing.md`` says of tests of them, run.

They are an app of their own, which a project has that tests install for them alone: its cron fires every ten minutes.
"""

import os
import re
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks
from tests.support import forked_processes

pytestmark = [pytest.mark.once, pytest.mark.thorough]

SETTINGS = """
from tests.settings import *

INSTALLED_APPS = [*INSTALLED_APPS, "payments", "receipts"]
"""

INI = """
[pytest]
DJANGO_SETTINGS_MODULE = payment_settings
pythonpath = .
"""

#: Stands for a provider: what it does depends on the card.
PROVIDER = """
charged, asked, keys = {}, [], []


def charge(card, amount, *, idempotency_key, timeout):
    keys.append(idempotency_key)
    if card == "unreachable once" and len(keys) == 1:
        raise ConnectionRefusedError("nobody listens")
    if card == "never reached":
        raise ConnectionResetError("who knows")
    charged[idempotency_key] = "declined" if card == "empty" else "paid"
    if card == "silent":
        raise TimeoutError("no answer")
    return charged[idempotency_key]


def find(key):
    asked.append(key)
    return charged.get(key)
"""

TESTS = '''
import smtplib
import socket
import socketserver
import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction

from django_scheduler import Outcome, ctx
from django_scheduler.errors import CannotRunAgain
from django_scheduler.models import ScheduledFunction
from payments import provider
from payments.functions import charge, place_order, settle
from payments.models import Payment
from receipts.functions import send_receipt


@pytest.fixture(autouse=True)
def new_provider():
    for each in (provider.charged, provider.asked, provider.keys):
        each.clear()


def place(card):
    return ctx.run_mutation(place_order, card=card, amount=Decimal("9.90"))


def state_of(payment_id):
    return Payment.objects.get(pk=payment_id).state


def test_rollback_charges_nothing(scheduler):
    with pytest.raises(LookupError), transaction.atomic():
        place("good")
        raise LookupError
    scheduler.run_all()
    assert provider.keys == []


@pytest.mark.parametrize(("card", "state"), [("good", "paid"), ("empty", "declined")])
def test_answer_of_the_provider_is_recorded(card, state, scheduler):
    payment_id = place(card)
    runs = scheduler.run_all()
    assert [run.state for run in runs] == ["success", "success"]
    assert state_of(payment_id) == state


def test_what_was_not_sent_is_sent_again_with_the_same_key(scheduler):
    payment_id = place("unreachable once")
    scheduler.run_all()
    assert provider.keys == [str(Payment.objects.get().key)] * 2
    assert state_of(payment_id) == "paid"


def test_what_may_have_been_charged_is_asked_for_and_not_repeated(scheduler):
    payment_id = place("silent")
    scheduler.run_all(raise_failures=False)
    assert len(provider.keys) == 1
    assert state_of(payment_id) == "unclear"
    scheduler.advance(minutes=10)
    assert state_of(payment_id) == "paid"


def test_what_the_provider_does_not_know_after_an_hour_was_not_charged(scheduler):
    payment_id = place("never reached")
    scheduler.run_all(raise_failures=False)
    scheduler.advance(minutes=55)
    assert state_of(payment_id) == "unclear"
    scheduler.advance(minutes=20)
    assert state_of(payment_id) == "not charged"


def test_what_has_never_begun_was_not_charged(scheduler):
    payment_id = place("good")
    ctx.scheduler.cancel_all(charge, args={"payment_id": payment_id})
    scheduler.run_all()
    assert state_of(payment_id) == "not charged"
    assert provider.keys == []


@pytest.mark.parametrize("end", [("failed", "lost"), ("failed", "timeout"), ("canceled", "")])
def test_end_whose_outcome_is_unknown(end, scheduler):
    payment_id = place("good")
    state, failure = end
    outcome = Outcome(id=1, name="payments:charge", state=state, failure=failure, attempts=1)
    ctx.run_mutation(settle, outcome=outcome, payment_id=payment_id)
    assert state_of(payment_id) == "unclear"


def test_charge_does_not_run_again(scheduler):
    place("good")
    charged, _ = scheduler.run_all()
    with pytest.raises(CannotRunAgain):
        ctx.scheduler.run_again(charged.pk)


class MailServer(socketserver.ThreadingTCPServer):
    """Answers commands as a test says, until it has taken a mail."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, **answers):
        super().__init__(("127.0.0.1", 0), Dialogue)
        self.answers = answers
        self.mails = 0


class Dialogue(socketserver.StreamRequestHandler):
    def say(self, command, usual):
        answers = self.server.answers.get(command, [])
        answer = answers.pop(0) if answers else usual
        if answer:
            self.wfile.write(answer.encode() + b"\\r\\n")
        return answer

    def handle(self):
        if not self.say("greeting", "220 hello").startswith("220"):
            return
        for line in self.rfile:
            command = line[:4].decode().strip().lower()
            if command == "quit":
                self.say("quit", "221 bye")
                return
            if self.say(command, "354 go on" if command == "data" else "250 fine") and command == "data":
                for text in self.rfile:
                    if text == b".\\r\\n":
                        break
                self.server.mails += 1
                if not self.say("end", "250 taken"):
                    return


def send_mails_to(settings, host, port):
    backend = "django.core.mail.backends.smtp.EmailBackend"
    if hasattr(settings, "MAILERS"):  # since Django 6.1
        options = {"host": host, "port": port, "timeout": 20}
        settings.MAILERS = {"default": {"BACKEND": backend, "OPTIONS": options}}
    else:
        settings.EMAIL_BACKEND = backend
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = host, port, 20


@pytest.fixture
def serve(settings):
    servers = []

    def start(**answers):
        server = MailServer(**answers)
        servers.append(server)
        threading.Thread(target=server.serve_forever).start()
        send_mails_to(settings, *server.server_address)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def send(scheduler):
    ctx.scheduler.run_after(0, send_receipt, email="ada@shop.example", amount="9.90 EUR")
    runs = scheduler.run_all(raise_failures=False)
    return runs[-1].state, len(runs)


@pytest.mark.parametrize(
    "answers",
    [
        {"greeting": ["421 too many"]},
        {"mail": ["451 later"]},
        {"rcpt": ["450 grey"]},
        {"end": ["452 full"]},
    ],
    ids=str,
)
def test_mail_that_is_refused_for_now_is_sent_again(answers, serve, scheduler):
    server = serve(**answers)
    assert send(scheduler) == ("success", 2)
    assert server.mails == 1 + ("end" in answers)


@pytest.mark.parametrize("answers", [{"mail": ["550 no"]}, {"rcpt": ["550 unknown"]}, {"end": ["554 spam"]}], ids=str)
def test_mail_that_is_refused_for_good_is_not(answers, serve, scheduler):
    serve(**answers)
    assert send(scheduler) == ("failed", 1)


def test_mail_that_may_have_been_taken_is_not_sent_again(serve, scheduler):
    server = serve(end=[""])
    assert send(scheduler) == ("failed", 1)
    assert server.mails == 1
    assert ScheduledFunction.objects.get().error.startswith("SMTPServerDisconnected")


def test_server_that_is_not_there_is_tried_again(scheduler, settings):
    with socket.create_server(("127.0.0.1", 0)) as free:
        send_mails_to(settings, *free.getsockname())
    assert send(scheduler) == ("failed", 8)
    assert ScheduledFunction.objects.get().error.startswith("ConnectionRefusedError")
'''


def test_the_recipes_for_payments_and_mails_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"payment_settings.py": SETTINGS, "pytest.ini": INI, "payments/__init__.py": "", "receipts/__init__.py": ""}
    files |= {"payments/provider.py": PROVIDER, "test_payments.py": TESTS}
    for block in blocks(ROOT / "docs/recipes.md", "python"):
        if block.title.startswith(("payments/", "receipts/")):
            files[block.title] = block.text
    for number, block in enumerate(blocks(ROOT / "docs/testing.md", "python")):
        if "from payments" in block.text:
            files[f"test_recipe_{number}.py"] = block.text
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    environment = {**os.environ, **forked_processes.ENVIRONMENT, "DATABASE_URL": "sqlite://:memory:"}
    environment["DJANGO_SETTINGS_MODULE"] = "payment_settings"
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), environment["PYTHONPATH"]])
    monkeypatch.chdir(tmp_path)

    pytest_run = forked_processes.run(["-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)], environment)

    assert pytest_run.returncode == 0, pytest_run.stdout + pytest_run.stderr
    passed = re.search(r"(\d+) passed", pytest_run.stdout)
    assert passed
    assert int(passed[1]) > 20
