"""Django's admin shows what is scheduled and what became of it, and lets those who may intervene. Its rooms:

* The pages: ``overview.py``, with ``statistics.py`` and ``charts.py``; ``scheduled_function.py``, which is the list and
  the page of one function, with ``detail.py``; ``crons.py``, with ``cron_form.py`` and ``cron_page.py``.
  ``extension.py`` is where other parts add to them, as ``cron_links.py`` does.
* The list: ``listing.py`` is a page of it, ``positions.py`` are its orders, ``rows.py`` what is read for it,
  ``filters.py`` and ``search.py`` what it is narrowed by.
* What can be done: ``actions.py`` says what, ``selection.py`` to which functions, ``action_view.py`` asks and does it,
  ``pause_view.py`` pauses and resumes, ``permissions.py`` says who may.
* For the reader: ``readable.py`` shows stored JSON, ``durations.py`` times. ``answers.py`` limits every query's time.
"""

from django_scheduler.admin import cron_links  # noqa: F401  (adds to the pages of functions)
from django_scheduler.admin.crons import CronAdmin
from django_scheduler.admin.overview import OverviewAdmin
from django_scheduler.admin.scheduled_function import ScheduledFunctionAdmin

__all__ = ["CronAdmin", "OverviewAdmin", "ScheduledFunctionAdmin"]
