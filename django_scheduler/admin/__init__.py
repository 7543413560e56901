"""Django's admin shows what is scheduled and what became of it, and lets people intervene who have the permission.

* Pages: ``overview.py``, with its ``panels.py``, ``statistics.py`` and ``batches.py``; ``scheduled_function.py`` is the
  list, with ``listing.py``, ``filters.py`` and ``search.py``, and the page of one function, with ``detail.py`` and
  ``followers.py``; ``limit_views.py``, with ``limits.py``; ``crons.py``, with ``cron_form.py`` and
  ``cron_history.py``.
* ``scheduler_admin.py`` has what the pages of functions and the overview have in common.
* ``visibility.py`` says which functions somebody sees, ``cron_permissions.py`` who may do what with crons, and
  ``requests.py`` answers requests that no page makes. ``user_groups.py`` gives the permissions to groups of users.
* ``actions.py`` says what can be done with functions, and who may; ``action_view.py`` asks, with
  ``outlook.py``, and does it.
* ``readable.py`` shows stored JSON, ``times.py`` times. ``time_limit.py`` limits how long each query takes.
"""

from django_scheduler.admin.crons import CronAdmin
from django_scheduler.admin.overview import OverviewAdmin
from django_scheduler.admin.readable import breakable, visible
from django_scheduler.admin.scheduled_function import ScheduledFunctionAdmin
from django_scheduler.admin.times import age, duration, exact, moment
from django_scheduler.admin.user_groups import GivenPermissions, create_user_groups

__all__ = [
    "CronAdmin",
    "GivenPermissions",
    "OverviewAdmin",
    "ScheduledFunctionAdmin",
    "age",
    "breakable",
    "create_user_groups",
    "duration",
    "exact",
    "moment",
    "visible",
]
