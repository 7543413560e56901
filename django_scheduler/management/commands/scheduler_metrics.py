"""``manage.py scheduler_metrics`` serves the metrics of this host over HTTP, for Prometheus to scrape."""

import os
from argparse import ArgumentParser
from typing import Any

from django.apps import apps
from django.core.management.base import CommandError
from django.utils.module_loading import import_string

from django_scheduler.management.command import SchedulerCommand

#: The app that counts what processes do.
COUNTS = "django_scheduler.contrib.prometheus"


class Command(SchedulerCommand):
    help = (
        "Serves what the processes of this host have counted, and what is going on in the database, until it is"
        " stopped. It runs beside runscheduler, with the same PROMETHEUS_MULTIPROC_DIR."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--address", default="127.0.0.1", help="where to listen (default: 127.0.0.1)")
        parser.add_argument("--port", type=int, default=9100, help="on which port (default: 9100)")

    def handle(self, *, address: str, port: int, **options: Any) -> None:
        try:
            exported = import_string("django_scheduler.contrib.prometheus.metrics.exported")
            start_http_server = import_string("prometheus_client.start_http_server")
        except ImportError as error:
            raise CommandError(f'Metrics need pip install "django-ctx-scheduler[prometheus]": {error}.') from error
        if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            raise CommandError(
                "PROMETHEUS_MULTIPROC_DIR is not set, so nothing of what other processes count can be seen here. Set it"
                " to the same empty directory for this command and for runscheduler."
            )
        if not apps.is_installed(COUNTS):
            text = f"Nothing is counted, and only the gauges are served: {COUNTS!r} is not in INSTALLED_APPS."
            self.stderr.write(self.style.WARNING(text))
        try:
            server, thread = start_http_server(port, address, exported())
        except OSError as error:
            raise CommandError(f"Metrics cannot be served at {address}:{port}: {error}.") from error
        self.stdout.write(f"Metrics are served at http://{address}:{server.server_port}/")
        self.stdout.flush()
        try:
            thread.join()
        except KeyboardInterrupt:
            server.shutdown()
