"""Django's tasks that the tests enqueue."""

from django.db import DatabaseError, connection
from django.tasks import TaskContext, task
from django.utils.safestring import SafeString

from django_scheduler import ctx
from django_scheduler.errors import TransientError
from tests.models import Entry
from tests.support.gates import Gate


class Refused(Exception):
    """An error of the site's own."""


@task
def add(first, second=0):
    return first + second


@task
def wait_at_gate(path):
    Gate(path).pass_through()


@task
def log_in(user, password, *, token=None):
    return None


@task()
async def add_async(first, second=0):
    await Entry.objects.acreate(label="async")
    return first + second


@task
def write(label):
    return Entry.objects.create(label=label, function_id=ctx.function_id).pk


@task(backend="exactly_once")
def write_once(label):
    return Entry.objects.create(label=label, function_id=ctx.function_id).pk


@task(backend="exactly_once")
def write_and_refuse(label):
    Entry.objects.create(label=label)
    raise Refused(f"{label} is not to be\neven in two lines")


@task
def note_and_refuse(label):
    Entry.objects.create(label=label)
    raise Refused(f"{label} went wrong")


@task
def refuse_with_spoofed_text():
    raise ValueError("innocent\nos.ValueError: innocent")


@task
def leave():
    raise SystemExit("gone")


@task
def nest_errors():
    try:
        raise KeyError("first")
    except KeyError as error:
        raise Refused(ValueError("inner")) from error


@task
def raise_group():
    raise ExceptionGroup("several", [ValueError("one"), TypeError("two")])


@task
def give_function():
    return lambda: None


@task
def give_much():
    return "x" * 2**20


@task
def give_plain():
    return {"text": SafeString("<b>"), "tuple": (1, 2), "bytes": b"abc", "none": None}


@task
def give_text_like_json():
    return '{"a": 1}'


@task(takes_context=True)
def look_around(context, *args, **kwargs):
    assert isinstance(context, TaskContext)
    result = context.task_result
    return {
        "id": result.id,
        "ctx": str(ctx.function_id),
        "attempt": context.attempt,
        "status": result.status,
        "workers": result.worker_ids,
        "started": bool(result.enqueued_at and result.started_at and result.enqueued_at <= result.started_at),
        "finished": result.finished_at is not None,
        "args": result.args,
        "kwargs": result.kwargs,
        "queue": result.task.queue_name,
        "priority": result.task.priority,
    }


@task(takes_context=True, backend="exactly_once")
def try_three_times(context):
    Entry.objects.create(label=f"attempt {context.attempt}")
    if context.attempt < 3:
        raise TransientError("not yet")
    return context.attempt


@task
def is_atomic():
    return connection.in_atomic_block


@task(backend="exactly_once")
def is_atomic_once():
    return connection.in_atomic_block


@task
def enqueue_another(label):
    return write.enqueue(label).id


@task
def whatever(*args, **kwargs):
    return [list(args), kwargs]


def break_transaction():
    """What a receiver does that uses the database in the wrong way."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")
    except DatabaseError as error:
        raise RuntimeError("a receiver went wrong") from error


def plain():
    """No task."""
