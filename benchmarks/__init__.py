"""The benchmarks: this checkout and its peers, side by side in one run. ``make bench``, or ``python -m benchmarks``.

A *contender* (``contenders/``, one file each) is a job queue with its normal worker command, installed in a virtual
environment of its own. A *workload* (``workloads/``, one file each) is something that is measured. A run takes every
contender through every workload in several rounds: all contenders once, one after the other, and then all of them
again, so that they meet the same machine in the same minutes (``rounds.py``). Each time a contender gets a fresh copy
of its prepared database, and a time limit.

Two sides, and who runs where:

* The harness (this process) never imports a contender. It reads the header of its file (``header.py``), makes the
  environment (``environments.py``), starts the workers (``processes.py``), and measures from outside.
* In the contender's environment runs ``agent.py``, which schedules what the harness asks for, and the contender's
  workers. Both import the contender's file.

What is true of every contender alike is measured alike: each body writes the time at which it begins and its number
into a file, the journal (``journal.py``), and what it has really done is counted in the table ``effect``.
"""
