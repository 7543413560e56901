"""Optional apps, to be added to ``INSTALLED_APPS``: ``prometheus/`` has metrics, ``opentelemetry/`` has spans."""
