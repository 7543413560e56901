"""The order of the apps: what a site overrides must come first, or it is never seen."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Warning, register

#: Where Django and its finders take the first of several files of the same name.
FOLDERS = ("templates", "static")


@register("django_scheduler")
def check_overrides(**kwargs: Any) -> list[CheckMessage]:
    """W003: an app overrides a template or a static file of this one, and comes after it."""
    ours = apps.get_app_config("django_scheduler")
    configs = list(apps.get_app_configs())
    return [
        Warning(
            f"{config.name} has files of its own for {', '.join(shadowed)}, which are not used, because it comes after"
            " django_scheduler in INSTALLED_APPS.",
            hint=f"Put {config.name!r} before 'django_scheduler'.",
            id="django_scheduler.W003",
        )
        for config in configs[configs.index(ours) + 1 :]
        if (shadowed := sorted(set(_files(ours)) & set(_files(config, only_below=ours.label))))
    ]


def _files(config: AppConfig, only_below: str = "") -> Iterator[str]:
    root = Path(config.path)
    for folder in FOLDERS:
        # admin/django_scheduler/... and django_scheduler/...: nobody else's files are looked through.
        pattern = f"**/{only_below}/**/*" if only_below else "**/*"
        for path in (root / folder).glob(pattern):
            if path.is_file():
                yield path.relative_to(root).as_posix()
