"""Importing: what other schedulers run periodically becomes crons, as code or at run time (``manage.py importcrons``).

* ``beat_schedule.py``, ``celery_beat.py`` and ``django_q2.py`` each read the entries of one source. They alone import
  other schedulers, and only when they are asked.
* ``celery_schedules.py`` says Celery's schedules and options as ours.
* ``entries.py`` is what all of them return: an entry, or why it cannot be said here, or need not be.
* ``named_functions.py`` finds the function that a task of the same name has become.
* ``plan.py`` decides what is to be done about each entry, and does it.
* ``code.py`` writes a plan as Python.
"""

from django_scheduler.importing import beat_schedule, celery_beat, django_q2
from django_scheduler.importing.code import as_code
from django_scheduler.importing.entries import Entry, LeftOut, Read, Refused, SourceMissing
from django_scheduler.importing.named_functions import NamedFunctions
from django_scheduler.importing.plan import Importable, Plan, Step, There, apply, make_plan

__all__ = [
    "Entry",
    "Importable",
    "LeftOut",
    "NamedFunctions",
    "Plan",
    "Read",
    "Refused",
    "SourceMissing",
    "Step",
    "There",
    "apply",
    "as_code",
    "beat_schedule",
    "celery_beat",
    "django_q2",
    "make_plan",
]
