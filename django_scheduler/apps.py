"""The app: when Django starts, the modules ``functions`` and ``crons`` of every installed app are imported."""

from importlib import import_module

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class DjangoSchedulerConfig(AppConfig):
    name = "django_scheduler"
    verbose_name = _("Scheduler")
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        super().import_models()
        import_module("django_scheduler.crons.models")

    def ready(self) -> None:
        from django_scheduler import checks, fleet  # noqa: F401  (registers the checks)
        from django_scheduler.functions import registry
        from django_scheduler.signals import function_finished
        from django_scheduler.tasks import announce_end, find_task_function

        registry.add_source(find_task_function)
        function_finished.connect(announce_end)
        fleet.register()
        autodiscover_modules("functions", "crons")
