"""What ``DJANGO_SCHEDULER`` says, and what it leaves out."""

import difflib
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured

from django_scheduler import conf


@register("django_scheduler")
def check_time_zones(**kwargs: Any) -> list[CheckMessage]:
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
def check_settings(**kwargs: Any) -> list[CheckMessage]:
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


@register("django_scheduler")
def check_settings_fit_together(**kwargs: Any) -> list[CheckMessage]:
    """E004: executors that live are taken for gone. E005: no wait fits between the shortest and the longest."""
    configured = _valid_settings()
    if configured is None:
        return []
    messages: list[CheckMessage] = []
    if configured.HEARTBEAT_TIMEOUT < 2 * configured.HEARTBEAT_INTERVAL:
        messages.append(
            Error(
                f"An executor may be silent for HEARTBEAT_TIMEOUT ({configured.HEARTBEAT_TIMEOUT}), and says that it is"
                f" alive only every HEARTBEAT_INTERVAL ({configured.HEARTBEAT_INTERVAL}): one heartbeat comes late,"
                " and the actions that it is executing are recorded as lost.",
                hint="Make HEARTBEAT_TIMEOUT at least twice as long, better three times, as it is by default.",
                id="django_scheduler.E004",
            )
        )
    if configured.BACKOFF_INITIAL > configured.BACKOFF_MAXIMUM:
        messages.append(
            Error(
                f"The wait before the first retry, BACKOFF_INITIAL ({configured.BACKOFF_INITIAL}), is longer than the"
                f" longest, BACKOFF_MAXIMUM ({configured.BACKOFF_MAXIMUM}).",
                hint="Make BACKOFF_MAXIMUM longer, or BACKOFF_INITIAL shorter.",
                id="django_scheduler.E005",
            )
        )
    return messages


@register("django_scheduler", deploy=True)
def check_clock(**kwargs: Any) -> list[CheckMessage]:
    """W001: each host's own clock says what is due."""
    configured = _valid_settings()
    if configured is None or configured.CLOCK == "database":
        return []
    return [
        Warning(
            'CLOCK is "python": what is due on one host is not yet due, or long due, on another whose clock is off.',
            hint='Use "database" in production. In tests, django_scheduler.testing asks Python\'s clock anyway.',
            id="django_scheduler.W001",
        )
    ]


def _valid_settings() -> conf.Settings | None:
    """The settings, unless something is wrong with them that another check tells."""
    try:
        return conf.get_settings()
    except ImproperlyConfigured:
        return None
