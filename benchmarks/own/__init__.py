"""What is measured of this project alone: how long the server takes for what an executor asks (``claim.py``), what a
request pays for scheduling (``beside.py``, ``scheduling.py``), what a test waits, and how a rate limit is used
(``starts.py``). ``make bench-own``, or ``python -m benchmarks.own``.
"""
