"""System checks: what is wrong is told by ``manage.py check``, before anything runs. ``docs/checks.md`` explains each.

* ``settings.py`` looks at ``DJANGO_SCHEDULER``, ``functions.py`` at the functions that are registered, ``routing.py``
  at which database they and their models are in, ``overrides.py`` at the order of the apps.
* ``configuration.py`` looks at ``DATABASES``, without a connection.
* ``server.py`` asks the database about itself, and ``operation.py`` whether there is anybody to execute: only with
  ``check --deploy --database``, so that neither ``check`` nor ``migrate`` needs what they are about to make.
  ``on_database.py`` sees to that.

E: it cannot work, or a guarantee does not hold. W: it works, but not as it should in production.
"""

from django_scheduler.checks import (  # noqa: F401  (registers them)
    crons,
    functions,
    operation,
    routing,
    server,
    settings,
)
