"""The commands, in ``commands/``, and what only they need: ``durations.py`` and ``numbers.py``, ``progress.py``,
``reload.py``.
"""
