"""A site that executes in the processes that serve it, for WSGI servers."""

from django.core.wsgi import get_wsgi_application

from django_scheduler.embedded import with_scheduler

application = with_scheduler(get_wsgi_application(), concurrency=2)
