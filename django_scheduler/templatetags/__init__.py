"""``django_scheduler_admin.py`` has the tags and filters of the admin's templates."""
