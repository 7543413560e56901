"""Clients call public functions over HTTP, on sites that include ``django_scheduler.urls``.

``views.py`` finds the function, decides whether this client may call it, and runs it. Before that ``request.py`` reads
what is called. ``answer.py`` tells the client what became of it.
"""

from django_scheduler.http.views import run_action, run_mutation

__all__ = ["run_action", "run_mutation"]
