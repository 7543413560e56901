"""What is measured of this project alone: how long the server takes for what an executor asks (``claim.py``), what a
request pays for scheduling (``beside.py``, ``scheduling.py``), and what a test waits. ``make bench-own``, or
``python -m benchmarks.own``.
"""
