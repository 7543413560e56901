from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _


class PrometheusConfig(AppConfig):
    name = "django_scheduler.contrib.prometheus"
    label = "django_scheduler_prometheus"
    verbose_name = _("Scheduler metrics")

    def ready(self) -> None:
        try:
            from prometheus_client import REGISTRY
        except ImportError as error:
            raise ImproperlyConfigured(
                f"{self.name} is in INSTALLED_APPS, and needs the library prometheus-client ({error}): pip install"
                ' "django-ctx-scheduler[prometheus]".'
            ) from error
        from django_scheduler.contrib.prometheus.metrics import register

        register(REGISTRY)
