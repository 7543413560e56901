"""These checks look at the database routers: mutations must write to the database that functions are scheduled in.

That a mutation takes effect exactly once is a promise about one transaction, so about one database.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning, register
from django.db import connections, router
from django.db.models import Model

from django_scheduler.databases import VENDORS
from django_scheduler.functions import registry
from django_scheduler.models import Kind, ScheduledFunction


@register("django_scheduler")
def check_alias(**kwargs: Any) -> Iterator[CheckMessage]:
    """E007: there is no such database. E008: our tables are never made in it. E010: its kind is not supported."""
    alias = router.db_for_write(ScheduledFunction)
    if alias not in connections.settings:
        yield Error(
            f"The database routers send scheduled functions to {alias!r}, which is not in DATABASES.",
            hint=f"There are: {', '.join(connections.settings)}. Correct db_for_write in DATABASE_ROUTERS.",
            id="django_scheduler.E007",
        )
        return
    if not router.allow_migrate_model(alias, ScheduledFunction):
        yield Error(
            f"The database routers send scheduled functions to {alias!r}, and do not let their table be made.",
            hint="Let allow_migrate in DATABASE_ROUTERS agree with db_for_write.",
            id="django_scheduler.E008",
        )
    vendor = connections[alias].vendor
    if vendor not in VENDORS:
        yield Error(
            f"Functions cannot be scheduled in the database {alias!r}, which is {vendor}.",
            hint="PostgreSQL, MySQL, MariaDB and SQLite can. A database router can send the app"
            " django_scheduler to one of those, but then mutations must write to that one too.",
            id="django_scheduler.E010",
        )


@register("django_scheduler")
def check_one_database(**kwargs: Any) -> Iterator[CheckMessage]:
    """E009: this app's own models are spread over several databases."""
    homes = defaultdict(list)
    for model in apps.get_app_config("django_scheduler").get_models():
        homes[router.db_for_write(model)].append(model.__name__)
    if len(homes) > 1:
        spread = "; ".join(f"{', '.join(names)} in {alias!r}" for alias, names in homes.items())
        yield Error(
            f"The models of django_scheduler are in different databases: {spread}.",
            hint="Let the database routers decide by model._meta.app_label, not by the single model.",
            id="django_scheduler.E009",
        )


@register("django_scheduler")
def check_mutations_write_where_they_are_recorded(**kwargs: Any) -> Iterator[CheckMessage]:
    """W004: the models of an app with mutations are in another database than the record of those mutations."""
    alias = router.db_for_write(ScheduledFunction)
    mutations_by_app = defaultdict(list)
    for function in registry:
        if function.kind is Kind.MUTATION:
            mutations_by_app[function.name.partition(":")[0]].append(function.name)
    for app_label, names in mutations_by_app.items():
        elsewhere = sorted(model.__name__ for model in _models(app_label) if router.db_for_write(model) != alias)
        if elsewhere:
            yield Warning(
                f"{', '.join(sorted(names))}: what these mutations write to {', '.join(elsewhere)} is not in the"
                f" database {alias!r}, and so not in the transaction that makes their effects happen exactly once.",
                hint="Route the app django_scheduler to the same database; or schedule these with"
                " ctx.scheduler.using(alias) and run an executor for that database, and silence this.",
                id="django_scheduler.W004",
            )


def _models(app_label: str) -> Iterator[type[Model]]:
    if app_label in apps.app_configs:
        for model in apps.get_app_config(app_label).get_models():
            if model._meta.managed:
                yield model
