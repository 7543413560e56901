"""The commands, in ``commands/``, and what several of them need.

``command.py`` is their base, which reads options; ``arguments.py`` reads durations, numbers and the database from the
command line, and ``values.py`` arguments of functions; ``progress.py`` draws a bar.
"""
