"""The app registers the edges when Django starts.

It also imports the modules ``functions`` and ``crons`` of every installed app.
"""

from contextlib import suppress
from importlib import import_module

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured
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
        from django_scheduler import checks, fleet, tasks  # noqa: F401  (registers the checks)
        from django_scheduler.functions import DISCOVERED_MODULES

        tasks.register()
        fleet.register()
        autodiscover_modules(*DISCOVERED_MODULES)
        _embed()


def _embed() -> None:
    """Execute in the development server, if the settings say so."""
    from django_scheduler.conf import get_settings

    with suppress(ImproperlyConfigured):  # which the checks report
        if get_settings().EMBEDDED:
            from django_scheduler.embedded import execute_in_development_server

            execute_in_development_server()
