"""The commands, in ``commands/``, and what several of them need.

``arguments.py`` reads durations, numbers and the database from the command line; ``progress.py`` draws a bar.
"""
