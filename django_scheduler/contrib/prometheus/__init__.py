"""Metrics for Prometheus: add ``django_scheduler.contrib.prometheus`` to ``INSTALLED_APPS``.

It needs the extra ``prometheus``. ``docs/monitoring.md`` lists the metrics and says how they are scraped. In
``metrics.py``, signals increment the counters, and gauges are read from the database when they are scraped.
"""
