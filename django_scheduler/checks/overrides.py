"""The order of the apps: what a site overrides must come first, or it is never seen."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Warning, register

#: Where Django and its finders take the first of several files of the same name.
FOLDERS = ("templates", "static")


@register("django_scheduler")
def check_overrides(**kwargs: Any) -> list[CheckMessage]:
    """W003: an app overrides a template or a static file of this one, and comes after it."""
    ours = apps.get_app_config("django_scheduler")
    configs = list(apps.get_app_configs())
    files = list(_files(Path(ours.path)))
    return [
        Warning(
            f"{config.name} has files of its own for {', '.join(shadowed)}, which are not used, because it comes after"
            " django_scheduler in INSTALLED_APPS.",
            hint=f"Put {config.name!r} before 'django_scheduler'.",
            id="django_scheduler.W003",
        )
        for config in configs[configs.index(ours) + 1 :]
        if (shadowed := [file for file in files if Path(config.path, file).is_file()])
    ]


def _files(root: Path) -> Iterator[str]:
    for folder in FOLDERS:
        for path in sorted((root / folder).glob("**/*")):
            if path.is_file():
                yield path.relative_to(root).as_posix()
