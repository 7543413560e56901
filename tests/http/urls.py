"""A site that has the HTTP API, below a path of its own choice."""

from django.urls import include, path

urlpatterns = [path("api/", include("django_scheduler.urls"))]
