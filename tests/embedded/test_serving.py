"""Only what serves executes: not a shell, not a test, not a process that prepares others, nor any that was forked."""

import asyncio
import threading

import pytest
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.utils.connection import ConnectionDoesNotExist

from django_scheduler import ctx
from django_scheduler.embedded import with_scheduler
from django_scheduler.models import State
from tests.functions import note, write
from tests.support.forked_processes import start
from tests.support.records import record

SITE = """
import multiprocessing, os, sys, threading
import django; django.setup()
from django.core.signals import request_started
from django.core.wsgi import get_wsgi_application
from django.test import Client
from django_scheduler.embedded import with_scheduler, serving

def executes():
    return any(each.name == "django_scheduler embedded" for each in threading.enumerate())

def tell(who):
    os.write(1, f"{who} {executes()}\\n".encode())

def in_child(who="child"):
    tell(who)
    os._exit(0)

def fork():
    child = os.fork()
    if not child:
        in_child()
    os.waitpid(child, 0)

def serve():
    with_scheduler(get_wsgi_application())

def handle_a_request():
    Client().get("/nothing")
"""

IN_ANOTHER_THREAD = """
thread = threading.Thread(target=fork)
thread.start()
thread.join()
"""

#: What a body starts that is to outlive it.
AS_A_DAEMON = """
def fork_twice():
    if not os.fork():
        fork()
        os._exit(0)
    os.wait()

thread = threading.Thread(target=fork_twice)
thread.start()
thread.join()
"""

#: A site that is not of Django alone, so that nobody says when it handles a request.
WITH_A_LIFESPAN = """
import asyncio

async def site(scope, receive, send):
    await receive()
    fork()
    await send({"type": "lifespan.startup.complete"})
    fork()

async def receive():
    return {"type": "lifespan.startup"}

async def send(message):
    pass

asyncio.run(with_scheduler(site)({"type": "lifespan"}, receive, send))
"""

BY_MULTIPROCESSING = """
process = multiprocessing.get_context("fork").Process(target=in_child)
process.start()
process.join()
"""


#: What Celery's pool of workers forks with, if a worker has imported the site.
BY_BILLIARD = """
forks = {"__name__": "billiard.popen_fork", "fork": os.fork}
exec("child = fork()", forks)
if not forks["child"]:
    in_child()
os.wait()
"""


#: What another process is started with, which imports the site before, as it does if the main program imports it.
BY_SPAWNING = f"""
class Site:
    def __reduce__(self):
        return exec, ({SITE + "serve()"!r}, {{}})

source = {SITE + "tell('child'); handle_a_request(); tell('child')"!r}
process = multiprocessing.get_context("HOW").Process(target=exec, args=(source, {{"site": Site()}}))
process.start()
process.join()
"""

#: A worker of a server, which imports the site by itself.
AS_A_WORKER = f"""
source = {SITE + "serve(); tell('child')"!r}
process = multiprocessing.get_context("spawn").Process(target=exec, args=(source, {{}}))
process.start()
process.join()
"""


@pytest.fixture
def run(child_environment, tmp_path):
    """Run a program in a process of its own; the lines that it told, and its log."""

    def run(program):
        told, log = tmp_path / "told", tmp_path / "log"
        with told.open("wb") as output, log.open("wb") as errors:
            process = start(
                ["-c", SITE + program + "\ntell('parent')"], child_environment, stdout=output, stderr=errors
            )
            assert process.wait(50) == 0, log.read_text()
        return told.read_text().splitlines(), log.read_text()

    return run


@pytest.mark.parametrize(
    ("program", "who_executes"),
    [
        ("serve()", ["parent True"]),
        ("serve(); fork()", ["child True", "parent False"]),
        ("serve(); fork(); handle_a_request()", ["child True", "parent True"]),
        ("serve(); handle_a_request(); fork()", ["child False", "parent True"]),
        ("serve()" + IN_ANOTHER_THREAD, ["child False", "parent True"]),
        ("serve(); request_started.lock.acquire()" + IN_ANOTHER_THREAD, ["child False", "parent True"]),
        ("serve()" + BY_MULTIPROCESSING, ["child False", "parent True"]),
        ("serve()" + BY_BILLIARD, ["child False", "parent True"]),
        ("serve()" + AS_A_DAEMON, ["child False", "parent True"]),
        (BY_SPAWNING.replace("HOW", "spawn"), ["child False", "child True", "parent False"]),
        (BY_SPAWNING.replace("HOW", "forkserver"), ["child False", "child True", "parent False"]),
        (AS_A_WORKER, ["child True", "parent False"]),
        (WITH_A_LIFESPAN, ["child False", "child False", "parent True"]),
        ("sys.argv = ['manage.py', 'shell']; serve()", ["parent False"]),
        ("sys.ps1 = '>>> '; serve()", ["parent False"]),
        ("sys.argv = ['manage.py', 'runserver']; serve()", ["parent False"]),
        ("sys.argv = ['manage.py', 'runserver_plus']; os.environ['RUN_MAIN'] = 'true'; serve()", ["parent True"]),
        ("sys.argv = ['manage.py', 'serve_the_site']; serve(); handle_a_request()", ["parent True"]),
        ("from django.test.utils import setup_test_environment as set_up; set_up(); serve()", ["parent False"]),
    ],
)
def test_process_executes_if_it_serves(run, program, who_executes):
    # Nothing is served and a second does not pass: what is told is whether it is going to execute.
    assert run(program)[0] == who_executes


def test_process_that_executes_and_forks_others_that_serve_ends_its_executor_before(run, transactional_db):
    """As gunicorn's master may, if it takes long to start."""
    program = """
from django.db import connection
from django_scheduler.models import Executor
from tests.support.waiting import wait_until

def wait_until_executing():
    wait_until(lambda: Executor.objects.filter(process_id=os.getpid()).exists(), "it executed", timeout=30)
    connection.close()

serve()
wait_until_executing()
child = os.fork()
if not child:
    wait_until_executing()
    tell("child")
    sys.exit()
os.waitpid(child, 0)
os.write(1, f"on record: {Executor.objects.count()}\\n".encode())
"""
    told, log = run(program)
    assert told == ["child True", "on record: 0", "parent False"]
    assert log.count("has stopped") == 2


def test_executor_that_is_only_starting_when_its_process_forks_ends_once_it_has_started(run, transactional_db):
    program = """
from django_scheduler.embedded import embedded_executor
from django_scheduler.executor import Executor
from tests.support.waiting import wait_until

embedded_executor.IDLE_GRACE = 0
begun, forked = threading.Event(), threading.Event()
start = Executor.start

def start_slowly(executor):
    begun.set()
    forked.wait()
    start(executor)

def has_worker():
    return any(each.name.startswith("django_scheduler worker") for each in threading.enumerate())

Executor.start = start_slowly
serve()
begun.wait()
fork()
forked.set()
wait_until(lambda: not executes() and not has_worker(), "its executor ended", timeout=20)
"""
    told, log = run(program)
    assert told == ["child True", "parent False"]
    assert log.count("has stopped") == 1


@pytest.mark.parametrize("how", ["by_id.execute(function_id)", 'call_command("runscheduler", processes=0, once=True)'])
def test_process_that_the_site_forks_may_execute_by_itself(run, transactional_db, how):
    """Otherwise it would end after its first function, as those do that a body forks."""
    ids = [ctx.scheduler.run_after(0, each, label="x") for each in (write, note)]
    program = f"""
from django.core.management import call_command
from django_scheduler.executor import by_id

sys.argv = ["manage.py", "serve_the_site"]  # so that the functions are left to the processes that it forks
serve()
for function_id in {ids}:
    child = os.fork()
    if not child:
        {how}
        tell("came back")
        os._exit(0)
    os.waitpid(child, 0)
"""
    assert run(program)[0] == ["came back False", "came back False", "parent False"]
    assert [record(each).state for each in ids] == [State.SUCCESS, State.SUCCESS]


def test_options_that_come_too_late_are_told(run, transactional_db):
    program = """
serve()
wait_until(lambda: serving.serving._embedded.has_started, "it executed", timeout=30)
with_scheduler(get_wsgi_application(), concurrency=4)
with_scheduler(get_wsgi_application(), concurrency=2)
"""
    _, log = run("from tests.support.waiting import wait_until" + program)
    assert log.count("comes too late") == 1
    assert "concurrency=2" in log


def test_two_first_requests_at_once_begin_one_executor(run):
    program = """
from django.core.signals import request_started
from django_scheduler.embedded.embedded_executor import EmbeddedExecutor

arrived, beginning = threading.Event(), threading.Event()
other = threading.Thread(target=handle_a_request)
begin = EmbeddedExecutor.begin

def wait_for_the_other(**kwargs):
    if threading.current_thread() is other:
        arrived.set()
        beginning.wait()
    else:
        other.start()
        arrived.wait()

def begin_while_the_other_goes_on(executor):
    if threading.current_thread() is not other:
        beginning.set()
        other.join()
    begin(executor)

request_started.connect(wait_for_the_other)
EmbeddedExecutor.begin = begin_while_the_other_goes_on
sys.argv = ["manage.py", "serve_the_site"]
serve()
handle_a_request()
number = sum(each.name == "django_scheduler embedded" for each in threading.enumerate())
os.write(1, f"executors: {number}\\n".encode())
"""
    assert run(program)[0] == ["executors: 1", "parent True"]


def test_function_that_outlives_its_process_can_still_use_a_pool_of_processes(run):
    program = """
def end():
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(1) as pool:
        os.write(1, f"{pool.submit(abs, -7).result()}\\n".encode())

serve()
serving.serving._embedded.end = end
"""
    assert run(program)[0] == ["parent True", "7"]


def test_process_with_threads_that_are_none_executes_nothing_and_says_so(run):
    program = """
from types import SimpleNamespace
sys.modules["gevent.monkey"] = SimpleNamespace(is_module_patched=lambda name: name == "threading")
serve()
"""
    told, log = run(program)
    assert told == ["parent False"]
    assert "because gevent has replaced Python's threads" in log


def test_test_process_that_imports_the_site_executes_nothing():
    application = get_wsgi_application()
    assert with_scheduler(application) is application
    assert not [thread for thread in threading.enumerate() if thread.name == "django_scheduler embedded"]


def talk(application):
    """Start an ASGI application up and shut it down; what it sent."""
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message["type"])

    asyncio.run(application({"type": "lifespan"}, receive, send))
    return sent


def test_site_of_django_answers_the_lifespan_of_its_server():
    assert talk(with_scheduler(get_asgi_application())) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_application_with_a_lifespan_of_its_own_keeps_it():
    seen = []

    async def application(scope, receive, send):
        for _ in range(2):
            message = await receive()
            seen.append(message["type"])
            await send({"type": f"{message['type']}.complete", "by": "application"})

    assert talk(with_scheduler(application)) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert seen == ["lifespan.startup", "lifespan.shutdown"]


def test_application_that_cannot_start_up_is_served_all_the_same_and_executes(run):
    program = """
import asyncio

async def site(scope, receive, send):
    await receive()
    raise ValueError(scope["type"])

async def receive():
    return {"type": "lifespan.startup"}

try:
    asyncio.run(with_scheduler(site)({"type": "lifespan"}, receive, None))
except ValueError:
    os.write(1, f"{serving.serving._embedded._is_to_start.is_set()}\\n".encode())
"""
    assert run(program)[0] == ["True", "parent True"]


def test_application_that_starts_up_executes_nothing_before_it_has_started_up(run):
    """Its functions may use what it opens at start-up."""
    program = """
import asyncio
from django_scheduler.embedded import embedded_executor, serving

is_executing = threading.Event()

def execute(embedded):
    os.write(1, b"executes\\n")
    is_executing.set()
    return True

embedded_executor.EmbeddedExecutor._start = execute

async def site(scope, receive, send):
    await receive()
    # The second after which a process without start-up executes is over, and somebody notices.
    is_executing.wait(serving.DELAY * 1.2)
    os.write(1, b"has started up\\n")
    await send({"type": "lifespan.startup.complete"})

async def receive():
    return {"type": "lifespan.startup"}

async def send(message):
    pass

asyncio.run(with_scheduler(site)({"type": "lifespan"}, receive, send))
is_executing.wait(30)
"""
    told, _ = run(program)
    assert told[:2] == ["has started up", "executes"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"concurrency": 0}, ValueError),
        ({"grace": -1}, ValueError),
        ({"queues": "email"}, TypeError),
        ({"using": "nowhere"}, ConnectionDoesNotExist),
    ],
)
def test_site_is_told_at_once_what_is_wrong_with_its_options(options, error):
    with pytest.raises(error):
        with_scheduler(get_wsgi_application(), **options)
