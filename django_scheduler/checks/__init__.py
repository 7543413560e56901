"""System checks: ``manage.py check`` says what is wrong before anything runs. ``docs/checks.md`` explains each of them.

``settings.py`` checks ``DJANGO_SCHEDULER`` and the order of the apps; ``database_settings.py`` the database's part of
``DATABASES``; ``routing.py`` the database routers; ``functions.py`` and ``crons.py`` what the code registers. With
``check --deploy --database``, ``database.py`` asks the database itself.

E: it cannot work, or a guarantee does not hold. W: it works, but not as it should in production.
"""

from django_scheduler.checks import (  # noqa: F401  (registers them)
    crons,
    database,
    database_settings,
    functions,
    routing,
    settings,
)
