"""Clients call public functions over HTTP, on sites that include ``django_scheduler.urls``.

``views.py`` finds and runs the function. Before that ``request.py`` reads what is called, and ``permission.py`` decides
whether this client may call it. ``answer.py`` tells the client what became of it.
"""

from django_scheduler.http.views import run_action, run_mutation

__all__ = ["run_action", "run_mutation"]
