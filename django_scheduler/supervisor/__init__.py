"""The supervisor: keeps a number of processes executing, and knows what each of them was doing when it died.

A Python process uses about one core, so an executor that needs more of them needs several processes. And a process
may die: a body that crashes takes all threads with it, and its function, whose transaction vanishes, is at once
there to be claimed again. Somebody has to be left who restarts, and counts. So also a single process has a supervisor.

It executes nothing, and holds no connection while nothing dies. Its rooms:

* ``supervisor.py`` is the whole: it waits for deaths, messages and signals. ``stop_signals.py`` counts those.
* ``post.py`` is a place that is always manned: who serves there, who succeeds him, and when.
* ``worker_process.py`` is a process as the supervisor sees it, and ``duty.py`` the same process from within: it
  runs an executor as its ``assignment.py`` says. Both are ends of one pipe. What stands in it is short: the executor
  has started; it has done enough; stop; stop at once. The end of the pipe is the end of the other one.
* ``limits.py`` says when a process has done enough. ``death.py`` records what a dead process leaves behind.

Processes are spawned, not forked: nothing that this process has opened, locked or patched is theirs, and they have
the code as it is on disk then.
"""
