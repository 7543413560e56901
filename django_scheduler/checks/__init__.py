"""System checks: ``manage.py check`` says what is wrong before anything runs. ``docs/checks.md`` explains each of them.

``settings.py`` checks ``DJANGO_SCHEDULER`` and the order of the apps; ``routing.py`` the database routers;
``database.py`` the database's part of ``DATABASES`` and, with ``check --deploy --database``, what the database says of
itself; ``functions.py`` and ``crons.py`` what the code registers; ``stubs.py`` what type checkers are told of it.

E: it cannot work, or a guarantee does not hold. W: it works, but not as it should in production.
"""

from django_scheduler.checks import crons, database, functions, routing, settings, stubs  # noqa: F401  (registers them)
