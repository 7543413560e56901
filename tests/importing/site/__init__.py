"""A site that comes from Celery and django-q2: ``python -m tests.importing.site`` imports its crons."""
