"""A site that executes in the processes that serve it, for ASGI servers."""

from django.core.asgi import get_asgi_application

from django_scheduler.embedded import with_scheduler

application = with_scheduler(get_asgi_application(), concurrency=2)
