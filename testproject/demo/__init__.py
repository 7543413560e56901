"""The demo: ``python -m testproject.demo [--once]``.

It starts the shop's web server and ``manage.py runscheduler``, lets customers place orders through the real
HTTP view, shows what is scheduled, starts and ends, and checks every promise against the database.

``performance.py`` is the whole. Before it, ``environment.py`` and ``preparation.py`` lay out what is needed, and
``processes.py`` knows how to start and end the two processes. ``customer.py`` is a browser, ``story.py`` what the
customers do with it, ``timeline.py`` what is seen of it, and ``promises.py`` the judgment.
"""
