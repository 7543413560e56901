"""The commands, in ``commands/``, and what only they need: ``durations.py``, ``progress.py``, ``reload.py``."""
