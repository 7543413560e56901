import os
from importlib import import_module

from django.apps import AppConfig

from benchmarks.header import read_header


class BusinessConfig(AppConfig):
    name = "benchmarks.business"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # The last app: what the contender's file declares finds its library ready.
        import_module(read_header(os.environ["BENCH_CONTENDER"]).module)
