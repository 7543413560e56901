"""One command a file: ``runscheduler.py``, ``scheduler_status.py``, ``checkscheduled.py``, ``prunescheduled.py``,
``synccrons.py``, ``scheduler_metrics.py``, ``schedule.py``, ``cancelscheduled.py``, ``scheduler_groups.py``,
``importcrons.py``, ``scheduler_stubs.py``.
``docs/commands.md`` has their options.
"""
