"""What is measured of this project alone: how long the server takes for what an executor asks (``claim.py``), and
what a request pays for scheduling (``beside.py``). ``make bench-own``, or ``python -m benchmarks.own``.
"""
