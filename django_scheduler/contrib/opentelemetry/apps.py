from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class OpenTelemetryConfig(AppConfig):
    name = "django_scheduler.contrib.opentelemetry"
    label = "django_scheduler_opentelemetry"
    verbose_name = _("Scheduler tracing")

    def ready(self) -> None:
        from django_scheduler.scheduling import middleware_chain

        middleware_chain.add("django_scheduler.contrib.opentelemetry.middleware.OpenTelemetryMiddleware")
