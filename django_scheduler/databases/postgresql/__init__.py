"""PostgreSQL: ``database.py`` is what it can do; ``interruption.py`` lets a cancel stop an executing mutation,
``listening.py`` hears the wake-ups of other processes, ``several_lanes.py`` enters the index once for each of several
lanes, ``bulk.py`` changes each of several rows in its own way, ``prepared_claims.py`` claims one function quickly, and
``catalog.py`` is what the catalog is asked.
"""

from django_scheduler.databases.postgresql.database import PostgreSQL

__all__ = ["PostgreSQL"]
