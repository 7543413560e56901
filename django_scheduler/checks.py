"""System checks: what is wrong with the settings is told by ``manage.py check``, before anything runs."""

import difflib
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from django_scheduler import conf


@register("django_scheduler")
def check_time_zones(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E003: naive times. Executors and callers on several hosts could not agree on what is due."""
    if settings.USE_TZ:
        return []
    return [
        Error(
            "Scheduled functions need times with time zones, and USE_TZ is False.",
            hint="Set USE_TZ = True.",
            id="django_scheduler.E003",
        )
    ]


@register("django_scheduler")
def check_settings(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E001: an unknown setting. E002: a setting with a value that it cannot have."""
    configured = getattr(settings, conf.NAME, None) or {}
    if not isinstance(configured, dict):
        return [
            Error(
                f"{conf.NAME} is not a dict but {type(configured).__name__}.",
                hint=f"Write {conf.NAME} = {{}} and put the settings into it.",
                id="django_scheduler.E002",
            )
        ]
    messages: list[CheckMessage] = []
    for name, value in configured.items():
        if name not in conf.NAMES:
            near = difflib.get_close_matches(str(name).upper(), conf.NAMES, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(conf.NAMES)}."
            messages.append(Error(f"{conf.NAME} has no setting {name!r}.", hint=hint, id="django_scheduler.E001"))
        elif problem := conf.invalid_value(name, value):
            messages.append(
                Error(
                    f"{conf.NAME}[{name!r}] {problem}, not {value!r}.",
                    hint="Correct it, or leave it out for the default.",
                    id="django_scheduler.E002",
                )
            )
    return messages
