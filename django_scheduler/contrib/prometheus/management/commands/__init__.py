"""``scheduler_metrics.py`` serves the metrics of this host."""
