"""Spans for OpenTelemetry: add ``django_scheduler.contrib.opentelemetry`` to ``INSTALLED_APPS``.

It needs the extra ``opentelemetry``. ``docs/monitoring.md`` lists the spans and their attributes. ``middleware.py``
makes them: the app adds it to the site's middleware.
"""
