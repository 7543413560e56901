"""``python -m tests.importing.site``: the crons of this site are imported from each scheduler that is installed.

Prints, as JSON, what the command has said and what is on record then. It is noon on Monday, June 1, 2026 (UTC).
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from datetime import UTC, datetime
from importlib.util import find_spec
from io import StringIO
from typing import Any

import django
from freezegun import freeze_time

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.importing.site.settings"
django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import CommandError, call_command  # noqa: E402
from django.db import transaction  # noqa: E402

from django_scheduler.crons import Cron  # noqa: E402
from django_scheduler.crons.definitions import defined_crons  # noqa: E402
from django_scheduler.models import ScheduledFunction  # noqa: E402


def run(*arguments: str) -> dict[str, Any]:
    """Run the command, and say what it has written and what is on record."""
    output, errors = StringIO(), StringIO()
    try:
        call_command("importcrons", *arguments, stdout=output, stderr=errors, no_color=True)
        failed = ""
    except CommandError as error:
        failed = str(error)
    return {
        "output": output.getvalue(),
        "errors": errors.getvalue(),
        "failed": failed,
        "crons": [
            {
                "name": cron.name,
                "function": cron.function,
                "args": cron.args,
                "line": cron.line,
                "timezone": cron.timezone,
                "every": cron.every and cron.every.total_seconds(),
                "catch_up": cron.catch_up,
                "paused": cron.paused_reason,
                "next": cron.next_time and cron.next_time.isoformat(),
            }
            for cron in Cron.objects.order_by("pk")
        ],
        "scheduled": [
            {"function": each.name, "args": each.args, "time": each.scheduled_time.isoformat()}
            for each in ScheduledFunction.objects.order_by("pk")
        ],
    }


def runs(*arguments: str) -> dict[str, Any]:
    """Run the command in all ways: as code, as code that is pasted, applied, and applied twice."""
    with transaction.atomic():
        seen = {"code": run(*arguments), "pasted": pasted(arguments), "applied": run(*arguments, "--apply")}
        seen["again"] = run(*arguments, "--apply")
        transaction.set_rollback(True)
    return seen


def pasted(arguments: tuple[str, ...]) -> dict[str, Any]:
    output = StringIO()
    with suppress(CommandError):
        call_command("importcrons", *arguments, stdout=output, stderr=StringIO())
    exec(compile(output.getvalue(), "crons.py", "exec"), {})
    seen = run(*arguments)
    problems = [str(problem) for definition in defined_crons for problem in definition.problems()]
    defined_crons.__init__()  # type: ignore[misc]
    return {**seen, "problems": problems}


def look() -> Iterator[tuple[str, Any]]:
    if find_spec("celery"):
        yield "celery, empty", run("celery")
        from tests.importing.site import celery_app, crontabs

        yield "crontabs", list(crontabs.compared())
        app = "--app=tests.importing.site.celery_app"
        yield "celery", runs("celery", app, "--map=mails.weekly=shop:archive_order")
        with transaction.atomic():
            yield "celery, mapped", run("celery", app, "renamed", "--map=mails.weekly=shop:expire_carts", "--apply")
            transaction.set_rollback(True)
        celery_app.app.set_current()  # as a project's __init__ does, by making its app
        yield "celery, in use", run("celery", "seconds")
        yield "celery, no app", run("celery", "--app=tests.importing.site.no_app")
    if "django_celery_beat" in settings.INSTALLED_APPS:
        from tests.importing.site import periodic_tasks

        periodic_tasks.create(NOON)
        yield "django-celery-beat", runs("django-celery-beat")
    if "django_q" in settings.INSTALLED_APPS:
        from tests.importing.site import schedules

        yield "kinds", list(schedules.compared())
        schedules.create(NOON)
        yield "django-q2", runs("django-q2")


with redirect_stdout(sys.stderr), freeze_time(NOON):
    call_command("migrate", run_syncdb=True, verbosity=0)
    seen = dict(look())
json.dump(seen, sys.stdout)
