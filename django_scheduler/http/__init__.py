"""Public functions over HTTP, for sites that include ``django_scheduler.urls``.

``views.py`` is the way of a request through all the rest: ``request.py`` parses it, ``permission.py`` says whether it
may, ``call.py`` runs the function, and ``answer.py`` says what became of it.
"""
