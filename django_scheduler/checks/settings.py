"""These checks look at the settings ``DJANGO_SCHEDULER`` and ``USE_TZ``, and at the order of ``INSTALLED_APPS``."""

import difflib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from django_scheduler import conf
from django_scheduler.scheduling import middleware_chain
from django_scheduler.suggestions import which_there_are

#: Where Django and its finders take the first of several files of the same name.
FOLDERS = ("templates", "static")


@register("django_scheduler")
def check_time_zones(**kwargs: Any) -> Iterator[CheckMessage]:
    """E003: times have no zone, so executors and callers on several hosts could not agree on what is due."""
    if not settings.USE_TZ:
        yield Error(
            "Scheduled functions need times with time zones, and USE_TZ is False.",
            hint="Set USE_TZ = True.",
            id="django_scheduler.E003",
        )


@register("django_scheduler")
def check_settings(**kwargs: Any) -> Iterator[CheckMessage]:
    """E001: a setting does not exist. E002: a setting has a value that it cannot have."""
    configured = getattr(settings, conf.NAME, {})
    if not isinstance(configured, dict):
        yield Error(
            f"{conf.NAME} is not a dict but {type(configured).__name__}.",
            hint=f"Write {conf.NAME} = {{}} and put the settings into it.",
            id="django_scheduler.E002",
        )
        return
    for name, value in configured.items():
        if name not in conf.NAMES:
            hint = which_there_are(str(name).upper(), conf.NAMES)
            yield Error(f"{conf.NAME} has no setting {name!r}.", hint=hint, id="django_scheduler.E001")
        elif problem := conf.invalid_value(name, value):
            yield Error(
                f"{conf.NAME}[{name!r}] {problem}, not {value!r}.",
                hint="Correct it, or leave it out for the default.",
                id="django_scheduler.E002",
            )


@register("django_scheduler")
def check_name_of_settings(**kwargs: Any) -> Iterator[CheckMessage]:
    """E001: the settings, or one of them, are under another name, where nobody reads them."""
    for name in sorted(dir(settings)):
        if not name.isupper() or name == conf.NAME:
            continue
        single = name.removeprefix(f"{conf.NAME}_")
        if single != name and single in conf.NAMES:
            hint = f"Write {conf.NAME} = {{{single!r}: ...}}."
        elif _resembles(name, conf.NAME) or _looks_like_ours(name):
            hint = f"Did you mean {conf.NAME}?"
        else:
            continue
        yield Error(f"{name} is no setting of django_scheduler.", hint=hint, id="django_scheduler.E001")


def _resembles(name: str, other: str) -> bool:
    """Return whether one may be the other mistyped; the upper bounds spare most settings the long comparison."""
    matcher = difflib.SequenceMatcher(None, name, other)
    return all(ratio() > 0.85 for ratio in (matcher.real_quick_ratio, matcher.quick_ratio, matcher.ratio))


def _looks_like_ours(name: str) -> bool:
    """Return whether something is called after scheduling, and has nothing but settings of ours."""
    if "SCHEDUL" not in name:
        return False
    value = getattr(settings, name)
    return isinstance(value, dict) and bool(value) and all(each in conf.NAMES for each in value)


@register("django_scheduler")
def check_settings_fit_together(**kwargs: Any) -> Iterator[CheckMessage]:
    """E004: executors that are alive would be taken for gone. E005: the first wait exceeds the longest."""
    configured = _valid_settings()
    if configured is None:
        return
    if configured.HEARTBEAT_TIMEOUT < 2 * configured.HEARTBEAT_INTERVAL:
        yield Error(
            f"An executor may be silent for HEARTBEAT_TIMEOUT ({configured.HEARTBEAT_TIMEOUT}), and says that it is"
            f" alive only every HEARTBEAT_INTERVAL ({configured.HEARTBEAT_INTERVAL}): one heartbeat comes late,"
            " and the actions that it is executing are recorded as lost.",
            hint="Make HEARTBEAT_TIMEOUT at least twice as long, better three times, as it is by default.",
            id="django_scheduler.E004",
        )
    if configured.BACKOFF_INITIAL > configured.BACKOFF_MAXIMUM:
        yield Error(
            f"The wait before the first retry, BACKOFF_INITIAL ({configured.BACKOFF_INITIAL}), is longer than the"
            f" longest, BACKOFF_MAXIMUM ({configured.BACKOFF_MAXIMUM}).",
            hint="Make BACKOFF_MAXIMUM longer, or BACKOFF_INITIAL shorter.",
            id="django_scheduler.E005",
        )


@register("django_scheduler")
def check_middleware(**kwargs: Any) -> Iterator[CheckMessage]:
    """E021: a middleware cannot be used, so that no executor starts and nothing is scheduled."""
    if _valid_settings() is not None:
        for path, problem, hint in middleware_chain.problems():
            yield Error(f"The middleware {path} {problem}.", hint=hint, id="django_scheduler.E021")


@register("django_scheduler")
def check_middleware_is_named_once(**kwargs: Any) -> Iterator[CheckMessage]:
    """W017: a middleware is named twice, so it wraps itself."""
    configured = _valid_settings()
    numbers = Counter(configured.MIDDLEWARE if configured else ())
    for path, number in numbers.items():
        if number > 1:
            yield Warning(
                f"{conf.NAME}['MIDDLEWARE'] names {path} {number} times, so it wraps itself.",
                hint="Name it once, at the place where it belongs: from the outside to the inside.",
                id="django_scheduler.W017",
            )


@register("django_scheduler")
def check_middleware_for_requests(**kwargs: Any) -> Iterator[CheckMessage]:
    """E022: a middleware for scheduled functions is among those for requests, every one of which then fails."""
    for path in settings.MIDDLEWARE:
        try:
            cls = import_string(path)
        except Exception:  # whatever its module raises: Django says so when it needs it
            continue
        if isinstance(cls, type) and issubclass(cls, middleware_chain.Middleware):
            yield Error(
                f"MIDDLEWARE, which is for requests, names {path}, which wraps scheduled functions.",
                hint=f"Move it to {conf.NAME}['MIDDLEWARE'].",
                id="django_scheduler.E022",
            )


@register("django_scheduler", deploy=True)
def check_clock(**kwargs: Any) -> Iterator[CheckMessage]:
    """W001: each host decides by its own clock what is due."""
    configured = _valid_settings()
    if configured is not None and configured.CLOCK != "database":
        yield Warning(
            'CLOCK is "python": what is due on one host is not yet due, or long due, on another whose clock is off.',
            hint='Use "database" in production. In tests, django_scheduler.testing asks Python\'s clock anyway.',
            id="django_scheduler.W001",
        )


@register("django_scheduler")
def check_overrides(**kwargs: Any) -> Iterator[CheckMessage]:
    """W003: an app overrides a template or a static file of this one, and comes after it."""
    ours = apps.get_app_config("django_scheduler")
    configs = list(apps.get_app_configs())
    root = Path(ours.path)
    paths = [path for folder in FOLDERS for path in sorted((root / folder).glob("**/*")) if path.is_file()]
    files = [path.relative_to(root).as_posix() for path in paths]
    for config in configs[configs.index(ours) + 1 :]:
        if shadowed := [file for file in files if Path(config.path, file).is_file()]:
            yield Warning(
                f"{config.name} has files of its own for {', '.join(shadowed)}, which are not used, because it comes"
                " after django_scheduler in INSTALLED_APPS.",
                hint=f"Put {config.name!r} before 'django_scheduler'.",
                id="django_scheduler.W003",
            )


def _valid_settings() -> conf.Settings | None:
    """Return the settings, or ``None`` if another check finds something wrong with them."""
    try:
        return conf.get_settings()
    except ImproperlyConfigured:
        return None
