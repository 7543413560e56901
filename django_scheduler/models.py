"""The tables have one row per scheduled function, one per key, one per executor on record, and one per paused queue.

And for limits one row per slot, and one per limit that somebody has set.

Any code may read these tables; only this app writes them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NewType

from django.apps import apps
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement
from django.utils.translation import gettext_lazy as _

from django_scheduler import values

if TYPE_CHECKING:  # Django's fields are generic for type checkers, and not at run time
    from django.db.models import CharField as NameField
    from django.db.models import DateTimeField as InstantField
else:
    from django_scheduler.fields import InstantField, NameField

if apps.apps_ready and not apps.is_installed("django_scheduler"):
    raise ImproperlyConfigured(
        "django_scheduler is imported, and is no app of this project: add 'django_scheduler' to INSTALLED_APPS."
    )

LONGEST_QUEUE_NAME = 100
LONGEST_REASON, LONGEST_USER_NAME = 500, 255
LONGEST_NAME = LONGEST_KEY = 255
LONGEST_TENANT = 100

#: Of the name of a limit; and of that with the values that the limit is for.
LONGEST_LIMIT_NAME, LONGEST_LIMIT = 255, 400

#: What stands behind the name of a rate limit on record.
RATE = " rate"

#: The due time of what waits for a limit, so that no look and no claim finds it.
FAR = datetime(9000, 1, 1, tzinfo=UTC)

ScheduledFunctionId = NewType("ScheduledFunctionId", int)
LARGEST_ID = 2**63 - 1


class Kind(models.TextChoices):
    MUTATION = "mutation", _("mutation")
    ACTION = "action", _("action")

    @property
    def with_article(self) -> str:
        """Return it as messages name it: "a mutation", "an action"."""
        return f"{'an' if self is Kind.ACTION else 'a'} {self.value}"


class State(models.TextChoices):
    PENDING = "pending", _("pending")
    IN_PROGRESS = "in_progress", _("in progress")
    SUCCESS = "success", _("success")
    FAILED = "failed", _("failed")
    CANCELED = "canceled", _("canceled")


UNFINISHED = (State.PENDING, State.IN_PROGRESS)

#: The condition of rows that are unfinished. With IN instead of OR, PostgreSQL would use neither of the two partial
#: indexes, and read all that has finished: measured with 200,000 such rows, 25 ms instead of 0.03. The other databases
#: read the whole table with both.
IS_UNFINISHED = models.Q(state=State.PENDING) | models.Q(state=State.IN_PROGRESS)


class Failure(models.TextChoices):
    """Says why a function is ``failed``; ``EXPIRED``: why it is ``canceled``."""

    ERROR = "error", _("its body raised an exception")
    LOST = "lost", _("its executor is gone, the outcome is unknown")
    TIMEOUT = "timeout", _("it ran longer than it may")
    MISSING = "missing", _("its function no longer exists")
    CRASHED = "crashed", _("it killed its process again and again")
    TRANSIENT = "transient", _("the same error came again and again, although it should have passed")
    EXPIRED = "expired", _("it had not begun when it expired")


class PartialIndex(models.Index):
    """Indexes the rows that meet a condition, on ``fields``; in MySQL all rows, on ``fields_in_mysql`` if those differ.

    Leave the condition's column out of ``fields``. PostgreSQL knows that each row of the index meets the condition, so
    it drops the condition from the query, and then sees no reason to use an index whose first column is that one.
    Measured with 220,000 pending rows: 52 ms instead of 0.7.
    """

    def __init__(self, *, fields_in_mysql: Sequence[str] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.fields_in_mysql = list(fields_in_mysql or self.fields)

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        path, arguments, options = super().deconstruct()
        return path, arguments, {**options, "fields_in_mysql": self.fields_in_mysql}

    def create_sql(
        self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor, using: str = "", **options: Any
    ) -> Statement:
        if schema_editor.connection.features.supports_partial_indexes:
            return super().create_sql(model, schema_editor, using, **options)
        plain = models.Index(fields=self.fields_in_mysql, name=self.name)
        return plain.create_sql(model, schema_editor, using, **options)


#: References to functions have no constraint: its check would cost every insert a second statement's work, and
#: retention may delete what is referred to first.
UNCHECKED: Any = {"on_delete": models.DO_NOTHING, "db_constraint": False}


class ScheduledFunction(models.Model):
    """Is one scheduled function, from the moment it is scheduled until its retention has passed."""

    id = models.BigAutoField(_("id"), primary_key=True)
    name = NameField(_("function"), max_length=LONGEST_NAME)
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    args = models.JSONField(_("arguments"))
    state = models.CharField(_("state"), max_length=16, choices=State.choices)
    queue = NameField(_("queue"), max_length=LONGEST_QUEUE_NAME)
    priority = models.SmallIntegerField(_("priority"))
    scheduled_time = InstantField(_("scheduled for"))
    due_time = InstantField(_("due"))
    creation_time = InstantField(_("created"))
    started_time = InstantField(_("started"), null=True)
    completed_time = InstantField(_("completed"), null=True)
    attempts = models.PositiveIntegerField(_("attempts"))
    # How many times its process ended unexpectedly while its body was running.
    crashes = models.PositiveSmallIntegerField(_("crashes"), default=0, db_default=0)
    # How many attempts in a row have met the transient error that is on record.
    same_errors = models.PositiveIntegerField(_("same errors"), default=0, db_default=0)
    # How many attempts have failed and been repeated: these count for ``Retry.max_attempts``.
    failures = models.PositiveIntegerField(_("failures"), default=0, db_default=0)
    # The last attempts that were repeated, whatever for, as a list of {"time": ..., "executor": ..., "error": ...}.
    history = models.JSONField(_("earlier attempts"), null=True, editable=False)
    result = models.JSONField(_("result"), null=True)
    failure = models.CharField(_("failure"), max_length=16, choices=Failure.choices, blank=True)
    error = models.TextField(_("error"), blank=True)
    traceback = models.TextField(_("traceback"), blank=True)
    parent = models.ForeignKey(
        "self", verbose_name=_("scheduled by"), null=True, db_index=False, related_name="children", **UNCHECKED
    )
    # The ended function that this one runs again. Written after the insert, so that the INSERT of every call need not
    # name it.
    rerun_of = models.ForeignKey(
        "self", verbose_name=_("runs again"), null=True, db_index=False, related_name="reruns", **UNCHECKED
    )
    executor = NameField(_("executor"), max_length=255, blank=True)
    # Whether a fleet was sent it, and may begin it before its due time, which is when the fleet is sent it again.
    handed_over = models.BooleanField(default=False, db_default=False, editable=False)
    # Since when executors have met it whose code does not know the function, or refuses its arguments; and which ones,
    # with a space between them. Such a function is left to executors with other code (executor/unexecutable.py).
    unknown_since = InstantField(_("unknown since"), null=True, editable=False)
    unknown_to = models.TextField(null=True, blank=True, editable=False)  # noqa: DJ001
    # What is known of the request that caused it: {"request_id": ..., "user": ..., "user_id": ...}, and what middleware
    # has added. It travels on to what the function schedules.
    context = models.JSONField(_("context"), null=True, editable=False)
    # If it has not begun by then, it never does.
    expires_time = InstantField(_("expires"), null=True)
    # What is scheduled when it ends: see record/callbacks.py.
    callbacks = models.JSONField(_("callbacks"), null=True, editable=False)
    # Which batch it is a member of.
    batch = models.ForeignKey(
        "Batch", verbose_name=_("batch"), null=True, db_index=False, related_name="members", **UNCHECKED
    )
    # With which it was scheduled. Who holds a key is on record in ``Key``. ("key" means something in SQL.)
    key = NameField(_("key"), max_length=LONGEST_KEY, null=True, db_column="call_key")
    # How many calls with its key it has taken in since it was inserted.
    absorbed = models.PositiveIntegerField(_("absorbed calls"), default=0, db_default=0, editable=False)
    # Functions of different tenants take turns. Empty: its function has no fair key, or its arguments name none.
    tenant = NameField(_("tenant"), max_length=LONGEST_TENANT, default="", db_default="", editable=False)
    # For which limit it waits, or has waited until it was let in: see ``executor/limits.py``.
    waits_for = NameField(_("waits for"), max_length=LONGEST_LIMIT, null=True, editable=False)
    # Of which limit of one it is, whose functions begin in the order of their due times; until it begins.
    in_order_of = NameField(max_length=LONGEST_LIMIT, null=True, editable=False)
    # When it was due, because while it waits its due time is ``FAR``. By this a limit of one has its order.
    waiting_since = InstantField(_("waiting since"), null=True, editable=False)

    class Meta:
        verbose_name = _("scheduled function")
        verbose_name_plural = _("scheduled functions")
        # There are exactly the permissions that a page of the admin asks for.
        default_permissions = ("view",)
        permissions = [
            ("cancel_scheduledfunction", _("Can cancel scheduled function")),
            ("run_now_scheduledfunction", _("Can run scheduled function now")),
            ("run_again_scheduledfunction", _("Can run scheduled function again")),
            ("reschedule_scheduledfunction", _("Can reschedule scheduled function")),
        ]
        # Pending functions are indexed apart from the millions that have ended.
        indexes = [
            PartialIndex(
                fields=["queue", "priority", "tenant", "due_time", "id"],
                condition=models.Q(state=State.PENDING),
                fields_in_mysql=["queue", "priority", "tenant", "state", "due_time", "id"],
                name="django_scheduler_pending",
            ),
            PartialIndex(
                fields=["executor"],
                condition=models.Q(state=State.IN_PROGRESS),
                fields_in_mysql=["state", "executor"],
                name="django_scheduler_in_progress",
            ),
            PartialIndex(
                fields=["completed_time"],
                condition=models.Q(completed_time__isnull=False),
                name="django_scheduler_completed",
            ),
            # The rest are for the admin. Where indexes are partial, they cost nothing for a function that succeeds and
            # has no parent.
            PartialIndex(
                fields=["state", "completed_time", "id"],
                condition=models.Q(state__in=[State.FAILED, State.CANCELED]),
                name="django_scheduler_unsuccessful",
            ),
            PartialIndex(fields=["parent"], condition=models.Q(parent__isnull=False), name="django_scheduler_children"),
            PartialIndex(
                fields=["rerun_of"], condition=models.Q(rerun_of__isnull=False), name="django_scheduler_reruns"
            ),
            PartialIndex(
                fields=["batch", "state"],
                condition=models.Q(batch__isnull=False),
                name="django_scheduler_batch_members",
            ),
            PartialIndex(
                fields=["unknown_since"],
                condition=models.Q(unknown_since__isnull=False),
                name="django_scheduler_unknown",
            ),
            # What waits for a limit; what waits for one or has been let in; and what begins in the order of due times.
            PartialIndex(
                fields=["waits_for", "waiting_since", "id"],
                condition=models.Q(due_time=FAR),
                fields_in_mysql=["waits_for", "due_time", "waiting_since", "id"],
                name="django_scheduler_waiting",
            ),
            PartialIndex(
                fields=["waits_for", "waiting_since", "id"],
                condition=models.Q(waits_for__isnull=False),
                name="django_scheduler_let_in",
            ),
            PartialIndex(
                fields=["in_order_of", "waiting_since", "id"],
                condition=models.Q(in_order_of__isnull=False),
                name="django_scheduler_in_order",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.pk}"

    @classmethod
    def check(cls, **kwargs: Any) -> list[checks.CheckMessage]:
        # W037 warns that MySQL ignores the condition of an index. PartialIndex has other fields there.
        return [message for message in super().check(**kwargs) if message.id != "models.W037"]

    def decoded_args(self) -> dict[str, object]:
        """Return the arguments as the function receives them.

        Raises ``InvalidArguments`` if one cannot be restored any more.
        """
        return values.load_arguments(self.name, self.args)

    def decoded_result(self) -> object:
        """Return what the function returned, or ``None`` where nothing is on record.

        Raises ``InvalidArguments`` if it cannot be restored any more.
        """
        return None if self.result is None else values.load_result(self.result)


class Key(models.Model):
    """Refers to the call of a function that holds a key, as long as that one waits: see ``scheduling/keys.py``.

    Whoever schedules with the key locks this row. Executors never do.
    """

    #: The function's name, a blank, and the key. One column is the primary key, so that MySQL locks nothing else.
    name = NameField(_("name"), max_length=LONGEST_NAME + 1 + LONGEST_KEY, primary_key=True)
    function = models.ForeignKey(ScheduledFunction, null=True, db_index=False, related_name="+", **UNCHECKED)

    class Meta:
        verbose_name = _("key")
        verbose_name_plural = _("keys")
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class Executor(models.Model):
    """Is a process that executes functions: it writes its heartbeat here, and its row is deleted when it stops."""

    name = NameField(_("name"), max_length=255, primary_key=True)
    host = NameField(_("host"), max_length=255)
    # Processes of one process space see each other's ids: one kernel, one namespace of process ids.
    process_space = NameField(_("process space"), max_length=255)
    process_id = models.PositiveIntegerField(_("process id"))
    # Distinguishes the process from a later one that was given the same id.
    process_start = NameField(_("process start"), max_length=64)
    started_time = InstantField(_("started"))
    heartbeat_time = InstantField(_("last heartbeat"))
    queues = models.JSONField(_("queues"))
    concurrency = models.PositiveIntegerField(_("concurrency"))
    version = models.CharField(_("version"), max_length=64)
    django_version = models.CharField(_("Django version"), max_length=64)
    python_version = models.CharField(_("Python version"), max_length=64)
    # What it was executing at its last heartbeat, as a list of {"id": ..., "name": ...}, with
    # {"is_given_up": true} for what does not end although its time is up.
    running = models.JSONField(_("running"), default=list)

    class Meta:
        verbose_name = _("executor")
        verbose_name_plural = _("executors")
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class Slot(models.Model):
    """Is one of the places that a limit has for bodies that run at once, or begin within its period.

    See ``executor/limits.py`` and ``executor/rates.py``.
    """

    id = models.BigAutoField(_("id"), primary_key=True)
    # ("limit" means something in SQL.)
    limit = NameField(_("limit"), max_length=LONGEST_LIMIT, db_column="of_limit")
    number = models.PositiveSmallIntegerField(_("number"))
    # How often it was taken: by an action, or for a start within a rate limit.
    taken = models.PositiveBigIntegerField(_("taken"), default=0, db_default=0)
    # The action that has taken it last, in which attempt, and who executes it. A mutation locks the row instead.
    function = models.ForeignKey(ScheduledFunction, null=True, db_index=False, related_name="+", **UNCHECKED)
    attempt = models.PositiveIntegerField(_("attempt"), null=True)
    executor = NameField(_("executor"), max_length=255, blank=True, default="", db_default="")
    # When it was taken last for a start, if it is one of a rate limit. (Nobody holds such a slot.)
    taken_time = InstantField(_("taken"), null=True)

    class Meta:
        verbose_name = _("slot of a limit")
        verbose_name_plural = _("slots of limits")
        default_permissions = ()
        permissions = [("release_slot", _("Can release slots of limits"))]
        constraints = [models.UniqueConstraint(fields=["limit", "number"], name="django_scheduler_slot_number")]

    def __str__(self) -> str:
        return f"{self.limit} {self.number}"


class Limit(models.Model):
    """Says how many bodies of a limit run at once, or begin within its period, instead of what the code says."""

    # Of a rate limit: with RATE.
    name = NameField(_("limit"), max_length=LONGEST_LIMIT_NAME + len(RATE), primary_key=True)
    number = models.PositiveIntegerField(_("number"))
    reason = models.CharField(_("reason"), max_length=LONGEST_REASON, blank=True)
    changed_by = models.CharField(_("changed by"), max_length=LONGEST_USER_NAME, blank=True)
    changed_time = InstantField(_("changed"))

    class Meta:
        verbose_name = _("limit")
        verbose_name_plural = _("limits")
        default_permissions = ()
        permissions = [("change_limit", _("Can change limits"))]

    def __str__(self) -> str:
        return self.name


class Batch(models.Model):
    """Is a batch of scheduled functions, and counts how its members have ended: see record/batches.py."""

    id = models.BigAutoField(_("id"), primary_key=True)
    # What is scheduled when all of them have ended.
    callbacks = models.JSONField(_("callbacks"), null=True, editable=False)
    parent = models.ForeignKey(
        ScheduledFunction,
        verbose_name=_("scheduled by"),
        null=True,
        db_index=False,
        related_name="batches",
        **UNCHECKED,
    )
    context = models.JSONField(_("context"), null=True, editable=False)
    creation_time = InstantField(_("created"))
    completed_time = InstantField(_("completed"), null=True, db_index=True)
    # Null while the block is open in which the batch is made.
    total = models.PositiveIntegerField(_("members"), null=True)
    succeeded = models.PositiveIntegerField(_("succeeded"), default=0, db_default=0)
    failed = models.PositiveIntegerField(_("failed"), default=0, db_default=0)
    canceled = models.PositiveIntegerField(_("canceled"), default=0, db_default=0)

    class Meta:
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def ended(self) -> int:
        """Return how many of its members have ended."""
        return self.succeeded + self.failed + self.canceled


class Overview(ScheduledFunction):
    """Is not a table, but the admin's entry for the page that shows how the scheduler is doing."""

    class Meta:  # pyright: ignore[reportIncompatibleVariableOverride]
        proxy = True
        default_permissions = ()
        verbose_name = _("overview")
        verbose_name_plural = _("overview")


class Pause(models.Model):
    """Says that executors do not serve a queue for now: functions are still scheduled into it, and wait."""

    #: Stands for every queue, also for those that do not exist yet.
    EVERYTHING = ""

    queue = NameField(_("queue"), max_length=LONGEST_QUEUE_NAME, primary_key=True)
    reason = models.CharField(_("reason"), max_length=LONGEST_REASON, blank=True)
    paused_by = models.CharField(_("paused by"), max_length=LONGEST_USER_NAME, blank=True)
    paused_time = InstantField(_("paused since"))

    class Meta:
        verbose_name = _("pause")
        verbose_name_plural = _("pauses")
        default_permissions = ()
        permissions = [("pause_queue", _("Can pause and resume queues"))]

    def __str__(self) -> str:
        return self.queue or str(_("every queue"))
