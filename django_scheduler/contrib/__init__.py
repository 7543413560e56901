"""Optional parts, each an app of its own that is added to ``INSTALLED_APPS``: ``prometheus/``, ``opentelemetry/``."""
