"""PostgreSQL: ``database.py`` is what it can do; ``interruption.py`` lets a cancel stop an executing mutation, and
``listening.py`` hears the wake-ups of other processes.
"""

from django_scheduler.databases.postgresql.database import PostgreSQL

__all__ = ["PostgreSQL"]
