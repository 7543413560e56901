"""``commands/`` has ``scheduler_metrics``, which serves the metrics of this host."""
