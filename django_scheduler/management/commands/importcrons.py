"""``manage.py importcrons`` makes crons of what Celery's beat, django-celery-beat or django-q2 run periodically."""

from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError
from django.db import router

from django_scheduler import importing
from django_scheduler.crons import Cron
from django_scheduler.databases import database_for
from django_scheduler.errors import FunctionNotFound, SchedulerError
from django_scheduler.importing import Importable, LeftOut, NamedFunctions, Plan, Refused, There
from django_scheduler.management.arguments import known_database, written_time
from django_scheduler.management.command import SchedulerCommand, refusing_what_is_wrong
from django_scheduler.suggestions import did_you_mean, which_there_are

SOURCES = ("celery", "django-celery-beat", "django-q2")


def source_of(text: str) -> str:
    """Read the source, for ``add_argument(type=source_of)``."""
    if text not in SOURCES:
        raise ArgumentTypeError(f"{text!r} is no source. {which_there_are(text, SOURCES)}")
    return text


class Command(SchedulerCommand):
    help = (
        "Makes crons of what another scheduler runs periodically: celery (the beat_schedule of a Celery app),"
        " django-celery-beat or django-q2 (their tables). It prints Python that registers them, for the module crons of"
        " an app, and changes nothing; with --apply it registers at run time, in one transaction, those that can be."
        " Importing twice doubles nothing. The exit code is 1 if an entry cannot be imported; what it says then is why."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", type=source_of, help=f"where they are now: {', '.join(SOURCES)}")
        parser.add_argument(
            "names", nargs="*", default=[], metavar="NAME", help="import only the entries of these names"
        )
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            dest="mapping",
            metavar="TASK=FUNCTION",
            help="which function a task has become: orders.tasks.send_mail=orders:send_mail; may be repeated (default:"
            " the one of the same name, if there is only one)",
        )
        parser.add_argument(
            "--apply", action="store_true", help="register them at run time, instead of printing Python"
        )
        parser.add_argument(
            "--app",
            metavar="MODULE",
            help="of celery: the module of its app, such as shop.celery (default: the one in use)",
        )
        parser.add_argument("--database", metavar="ALIAS", help="the database to register them in")

    @refusing_what_is_wrong("Crons cannot be imported")
    def handle(
        self,
        *,
        source: str,
        names: list[str],
        mapping: list[str],
        apply: bool,
        app: str | None,
        database: str | None,
        **options: Any,
    ) -> None:
        if app is not None and source != "celery":
            raise CommandError(f"--app is for celery: {source} has tables, and no app.")
        using = known_database(database or router.db_for_write(Cron))
        plan = self._plan(source, names, mapping, app, using)
        if not plan.steps:
            self.stdout.write(f"There is nothing to import: {source} has no entries.")
            return
        if apply:
            try:
                importing.apply(plan, using)
            except SchedulerError as error:
                raise CommandError(f"Nothing was imported. {error}") from error
            self._tell(plan)
        else:
            self.stdout.write(importing.as_code(plan))
        self._sum_up(plan, "imported" if apply else "written as Python")

    def _plan(self, source: str, names: Sequence[str], mapping: Sequence[str], app: str | None, using: str) -> Plan:
        now = database_for(using).current_time()
        try:
            functions = NamedFunctions(dict(map(_read_mapping, mapping)))
            match source:
                case "celery":
                    entries = importing.beat_schedule.read(now, app)
                case "django-celery-beat":
                    entries = importing.celery_beat.read(now)
                case _:
                    entries = importing.django_q2.read(now)
        except (importing.SourceMissing, FunctionNotFound) as error:
            raise CommandError(str(error)) from error
        tasks = {entry.task for entry in entries if isinstance(entry, importing.Entry)}
        for task in sorted(functions.mapped - tasks):
            hint = did_you_mean(task, tasks)
            self.stderr.write(f"--map {task}: no entry that can be read runs it.{hint}")
        known = {entry.name for entry in entries}
        for name in names:
            if name not in known:
                raise CommandError(f"{source} has no entry {name!r}. {which_there_are(name, sorted(known))}")
        chosen = [entry for entry in entries if not names or entry.name in names]
        return importing.make_plan(source, chosen, functions, using, now)

    def _tell(self, plan: Plan) -> None:
        """Say what has become of each entry."""
        for step in plan.steps:
            match step:
                case Importable(entry, function):
                    if isinstance(entry.when, datetime):
                        what = f"Scheduled {entry.name!r}, {function.name}, at {written_time(entry.when)}"
                    else:
                        what = f"Registered {entry.name!r}, {function.name}{', paused' if entry.paused else ''}"
                    self.stdout.write("\n  ".join([f"{what}.", *step.notes]))
                case Refused():
                    self.stderr.write(self.style.ERROR(str(step)))
                case _:
                    self.stdout.write(str(step))

    def _sum_up(self, plan: Plan, done: str) -> None:
        """Say how many entries there are, and what has become of how many. Raises ``CommandError`` if some are left."""
        counts = Counter(type(step) for step in plan.steps)
        words = {Importable: done, There: "here already", LeftOut: "left out", Refused: "cannot be imported"}
        said = [f"{counts[kind]:,} {what}" for kind, what in words.items() if counts[kind]]
        summary = f"Of {len(plan.steps):,} entries: {', '.join(said)}."
        if counts[Refused]:
            raise CommandError(summary)
        self.stderr.write(summary)


def _read_mapping(text: str) -> tuple[str, str]:
    task, equals, function = text.partition("=")
    if not (task and equals and function):
        raise CommandError(f"{text!r} maps nothing. Write --map orders.tasks.send_mail=orders:send_mail.")
    return task, function
