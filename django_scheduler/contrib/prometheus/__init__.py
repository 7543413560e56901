"""Metrics for Prometheus: add ``django_scheduler.contrib.prometheus`` to ``INSTALLED_APPS``.

It needs the extra ``prometheus``. ``docs/monitoring.md`` lists the metrics, and says how they are scraped.
``metrics.py`` has them: counters are told by signals, gauges ask the database when they are scraped.
"""
