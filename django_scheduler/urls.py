"""The HTTP API of public functions: nothing of it exists for a site that does not include this.

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
