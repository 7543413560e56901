"""``django_scheduler_admin.py``: what the pages of the admin show again and again."""
