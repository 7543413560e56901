"""Spans for OpenTelemetry: add ``django_scheduler.contrib.opentelemetry`` to ``INSTALLED_APPS``.

It needs the extra ``opentelemetry``. ``docs/monitoring.md`` lists the spans and their attributes. ``tracer.py`` makes
them, when ``telemetry/tracing.py`` calls it.
"""
