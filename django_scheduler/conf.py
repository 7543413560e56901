"""The settings are one dict, ``DJANGO_SCHEDULER``, in which every key is optional.

It is read when it is needed, so ``override_settings`` works. Unknown keys and wrong types are reported by system checks
(``django_scheduler.E001`` and ``E002``), and raise ``ImproperlyConfigured``, so that a typing mistake does not pass
unnoticed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import partial
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver

from django_scheduler.suggestions import which_there_are

NAME = "DJANGO_SCHEDULER"

#: What ``EXECUTOR`` begins with.
FLEET_PREFIX = "tasks:"

#: The longest ``UNKNOWN_FUNCTION_GRACE``: each database knows what time it was so long ago.
LONGEST_GRACE = timedelta(days=36_500)

Clock = Literal["database", "python"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Has every setting, with its default."""

    #: Which clock says what is due: the database's, which all hosts share, or ``timezone.now()``, which
    #: freezegun and time-machine can move.
    CLOCK: Clock = "database"
    #: How many functions one transaction may schedule one by one.
    MAX_SCHEDULED_PER_TRANSACTION: int = 1_000
    #: How many bytes of arguments one transaction may schedule one by one.
    MAX_ARGUMENT_BYTES_PER_TRANSACTION: int = 16 * 1024 * 1024
    #: How many functions one transaction may schedule through ``run_after_many`` and ``run_at_many``.
    MAX_BULK_SCHEDULED_PER_TRANSACTION: int = 100_000
    #: How many bytes of arguments one transaction may schedule through them.
    MAX_BULK_ARGUMENT_BYTES_PER_TRANSACTION: int = 256 * 1024 * 1024
    #: How long a function stays on record once it has ended. ``None``: for ever.
    RETENTION: timedelta | None = timedelta(days=7)
    #: How often an executor says that it is alive.
    HEARTBEAT_INTERVAL: timedelta = timedelta(seconds=10)
    #: For how long another executor, which writes its own heartbeats, sees none of it before its running actions are
    #: recorded as lost.
    HEARTBEAT_TIMEOUT: timedelta = timedelta(seconds=30)
    #: How often an idle executor looks for due functions although nothing woke it. ``None``: what suits the
    #: database: 5 s on PostgreSQL, 0.5 s on MySQL and MariaDB and behind a pooler, 1 s on SQLite.
    POLL_INTERVAL: timedelta | None = None
    #: How long the body of a mutation may run that has no ``timeout=`` of its own. ``None``: for ever.
    MUTATION_TIMEOUT: timedelta | None = timedelta(seconds=60)
    #: The wait before the first retry after a transient error; it doubles with each one (full jitter).
    BACKOFF_INITIAL: timedelta = timedelta(seconds=0.5)
    #: The longest wait before a retry.
    BACKOFF_MAXIMUM: timedelta = timedelta(hours=2)
    #: How many attempts in a row may meet the same transient error before the mutation is ``failed``. With the default
    #: backoff that takes more than three days. ``None``: any number.
    MAX_SAME_ERRORS: int | None = 100
    #: For how long a function that an executor's code does not know, or whose arguments it refuses, is left to
    #: executors with other code before it fails. ``timedelta(0)``: it fails at once.
    UNKNOWN_FUNCTION_GRACE: timedelta = timedelta(minutes=15)
    #: For how long a due function of a queue that is not paused may wait before that is a problem: for all queues, or
    #: by the name of the queue, and with the name "" for all others. ``None``: for any time.
    MAX_LAG: timedelta | dict[str, timedelta | None] | None = timedelta(minutes=5)
    #: By the name of a queue: which parameter names the tenant, for those of its functions that have it and declare no
    #: ``fair_key=``. Tenants who have something due take turns.
    FAIR_KEYS: dict[str, str] = field(default_factory=dict)
    #: Whether ``runserver`` executes what is due as well. See ``django_scheduler.embedded``.
    EMBEDDED: bool = False
    #: Whether executors of this environment run crons.
    CRONS: bool = True
    #: What hides secrets in arguments, results, errors and tracebacks from those who look at them in the admin: a
    #: callable, or its dotted path. See ``django_scheduler.masking``.
    MASK: str | Callable[[str, Any], Any] = "django_scheduler.masking.mask_by_key"
    #: Below which modules, besides installed apps, enums and dataclasses among arguments and results are restored from
    #: modules that are not loaded yet.
    VALUE_MODULES: tuple[str, ...] | list[str] = ()
    #: Who may call a public function over HTTP, for a site that includes ``django_scheduler.urls``: the dotted path
    #: of ``(request, function) -> bool``. ``None``: everybody.
    HTTP_PERMISSION: str | None = None
    #: How many bytes a call over HTTP may have.
    HTTP_MAX_BODY_BYTES: int = 1024 * 1024
    #: The header of a request that has its id, which ``django_scheduler.middleware`` records with what the request
    #: schedules. ``None``: no id is recorded.
    REQUEST_ID_HEADER: str | None = "X-Request-ID"
    #: What adds to the context of what is scheduled, and wraps what is executed: the dotted paths of classes, from the
    #: outside to the inside. See ``django_scheduler.middleware``.
    MIDDLEWARE: tuple[str, ...] | list[str] = ()
    #: Who executes what is due: ``"tasks:<alias>"`` hands it to the workers of that backend of Django's tasks.
    #: ``None``: the executor that finds it.
    EXECUTOR: str | None = None
    #: After how long a function that was handed over and has not begun is handed over again.
    HAND_OVER_TIMEOUT: timedelta = timedelta(minutes=1)

    @property
    def fleet(self) -> str | None:
        """Return the alias in ``TASKS`` of the fleet that executes, or ``None`` where executors do it themselves."""
        return self.EXECUTOR.removeprefix(FLEET_PREFIX) if self.EXECUTOR else None


NAMES = tuple(field.name for field in fields(Settings))

# The type of each setting, and what it is a union of.
_TYPES = {field.name: (field.type, *get_args(field.type)) for field in fields(Settings)}


def _is_duration(value: Any) -> bool:
    return isinstance(value, timedelta) and value > timedelta(0)


def _is_max_lag(value: Any) -> bool:
    limits = value.items() if isinstance(value, dict) else [("", value)]
    return all(isinstance(queue, str) and (each is None or _is_duration(each)) for queue, each in limits)


def _are_fair_keys(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(queue, str) and queue and isinstance(key, str) and key.isidentifier() for queue, key in value.items()
    )


def _is_dotted_path(value: Any) -> bool:
    return isinstance(value, str) and "." in value


def _is_list_of(is_valid: Callable[[Any], bool], value: Any) -> bool:
    return isinstance(value, tuple | list) and all(map(is_valid, value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


class _Form(NamedTuple):
    """Says what the value of a setting must be, and tells whether it is."""

    text: str
    is_valid: Callable[[Any], bool]


_FLAG = _Form("True or False", lambda value: isinstance(value, bool))
_DURATION = _Form("a positive datetime.timedelta", _is_duration)
_NUMBER = _Form(
    "a positive whole number", lambda value: isinstance(value, int) and not isinstance(value, bool) and value > 0
)

#: The forms of those settings whose types do not say all of it.
_FORMS = {
    "CLOCK": _Form('"database" or "python"', lambda value: value in get_args(Clock)),
    "UNKNOWN_FUNCTION_GRACE": _Form(
        f"a datetime.timedelta from zero to {LONGEST_GRACE.days:,} days",
        lambda value: isinstance(value, timedelta) and timedelta(0) <= value <= LONGEST_GRACE,
    ),
    "MAX_LAG": _Form("a positive datetime.timedelta, None, or a dict of these by the names of queues", _is_max_lag),
    "FAIR_KEYS": _Form("a dict of the names of parameters by the names of queues", _are_fair_keys),
    "MASK": _Form("a callable or its import path", lambda value: isinstance(value, str) or callable(value)),
    "VALUE_MODULES": _Form("a list of the names of modules", partial(_is_list_of, _is_text)),
    "MIDDLEWARE": _Form("a list of the dotted paths of classes", partial(_is_list_of, _is_dotted_path)),
    "HTTP_PERMISSION": _Form("the dotted path of a function", _is_dotted_path),
    "REQUEST_ID_HEADER": _Form("the name of a header", _is_text),
    "EXECUTOR": _Form(
        f'"{FLEET_PREFIX}" and an alias of TASKS',
        lambda value: isinstance(value, str) and value.startswith(FLEET_PREFIX) and value != FLEET_PREFIX,
    ),
}


def invalid_value(name: str, value: Any) -> str | None:
    """Return what is wrong with ``value`` as the setting ``name``, or ``None``."""
    types = _TYPES[name]
    if value is None and NoneType in types:
        return None
    form = _FORMS.get(name) or (_FLAG if bool in types else _DURATION if timedelta in types else _NUMBER)
    return None if form.is_valid(value) else f"must be {form.text}"


_settings: Settings | None = None


def get_settings() -> Settings:
    """Return the settings in force now.

    Raises ``ImproperlyConfigured`` for an unknown key or a wrong value.
    """
    # Kept, because each function asks several times, and Django takes microseconds to find that there are none.
    global _settings
    read = _settings  # another thread may forget them
    if read is None:
        read = _settings = _from_dict(getattr(django_settings, NAME, {}))
    return read


@receiver(setting_changed)
def _read_again(*, setting: str, **kwargs: object) -> None:
    global _settings
    if setting == NAME:
        _settings = None


def _from_dict(configured: Any) -> Settings:
    if not isinstance(configured, dict):
        raise ImproperlyConfigured(f"{NAME} must be a dict, not {type(configured).__name__}.")
    for name, value in configured.items():
        if name not in NAMES:
            hint = which_there_are(str(name).upper(), NAMES)
            raise ImproperlyConfigured(f"{NAME} has no setting {name!r}. {hint}")
        if problem := invalid_value(name, value):
            raise ImproperlyConfigured(f"{NAME}[{name!r}] {problem}, not {value!r}.")
    return Settings(**configured)
