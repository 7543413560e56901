"""Include these URLs to let clients call public functions over HTTP. On a site that does not, nothing is reachable.

Example::

    urlpatterns = [path("api/", include("django_scheduler.urls"))]
"""

from django.urls import path

from django_scheduler.http import run_action, run_mutation

app_name = "django_scheduler"

urlpatterns = [
    path("mutation/", run_mutation, name="mutation"),
    path("action/", run_action, name="action"),
]
