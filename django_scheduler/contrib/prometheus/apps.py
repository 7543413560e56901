from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PrometheusConfig(AppConfig):
    name = "django_scheduler.contrib.prometheus"
    label = "django_scheduler_prometheus"
    verbose_name = _("Scheduler metrics")

    def ready(self) -> None:
        from prometheus_client import REGISTRY

        from django_scheduler.contrib.prometheus.metrics import register

        register(REGISTRY)
