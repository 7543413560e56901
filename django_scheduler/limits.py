"""Change limits and rate limits at run time, and take a slot from a function by hand.

What is set is a row, which executors read in the statement by which they take a slot. So it takes effect at once, for
what is going to begin. What is executing ends as always, and what waits goes on waiting until there is a slot for it:
nobody is woken, because executors look after what waits anyway (``executor/limit_watch.py``).
"""

from django.db import transaction

from django_scheduler.databases import database_for, require_alias
from django_scheduler.functions import MOST_SLOTS, MOST_STARTS, is_rate, name_of_limit, registry, without_values
from django_scheduler.models import LONGEST_LIMIT_NAME, LONGEST_REASON, LONGEST_USER_NAME, RATE, Limit, Slot
from django_scheduler.record import let_in
from django_scheduler.suggestions import which_there_are
from django_scheduler.telemetry import warn
from django_scheduler.values import require_plain_text


def change(using: str, name: str, number: int, *, reason: str = "", changed_by: str = "") -> None:
    """Let so many bodies of a limit run at once, whatever the code says; 0: none.

    Or begin within the period of a rate limit: the one of the name ``bank`` is called ``"bank rate"`` here, as on
    record. It holds until somebody changes it again, or calls ``reset``.

    Raises ``TypeError`` or ``ValueError`` if no limit can have that name or that number, and
    ``ConnectionDoesNotExist`` if there is no such database.
    """
    _check(using, name=name, reason=reason, changed_by=changed_by)
    most, what_they_do = (MOST_STARTS, "begin within a period") if is_rate(name) else (MOST_SLOTS, "run at once")
    if type(number) is not int or not 0 <= number <= most:
        raise ValueError(f"The number of bodies that {what_they_do} is 0 to {most:,}, not {number!r}.")
    known = sorted({**registry.limits(), **registry.rate_limits()})
    if name not in known:
        warn("The limit %r is set, but no function declares it. %s", name, which_there_are(name, known))
    Limit.objects.using(using).update_or_create(
        name=name,
        defaults={
            "number": number,
            "reason": reason[:LONGEST_REASON],
            "changed_by": changed_by[:LONGEST_USER_NAME],
            "changed_time": database_for(using).now(),
        },
    )


def reset(using: str, name: str) -> bool:
    """Let what the code says be the limit again; return ``False`` if it was already.

    Raises what ``change`` does.
    """
    _check(using, name=name)
    return bool(Limit.objects.using(using).filter(name=name).delete()[0])


def release(using: str, slot_id: int, function_id: int, attempt: int, *, reason: str, released_by: str) -> bool:
    """Take a slot from the action that holds it; return ``False`` if it does not hold it any more.

    If its body is still running, it is not stopped, and another one may begin beside it: so the limit can be exceeded
    by that body, until it ends.
    """
    database = database_for(using)
    with transaction.atomic(using=using):
        slot = Slot.objects.using(using).filter(pk=slot_id).values_list("limit", "executor").first()
        limit, executor = slot or ("", "")
        if not database.clear_slot(slot_id, function_id, attempt, executor):
            return False
        let_in(database, {limit: 1})
    warn(
        "A slot of the limit %s was taken from the function %s by %s: %s",
        name_of_limit(limit),
        function_id,
        released_by,
        reason,
    )
    return True


def _check(using: str, **texts: str) -> None:
    require_alias(using)
    require_plain_text(**texts)
    name = texts["name"]
    bare = name_of_limit(name)
    if not 0 < len(bare) <= LONGEST_LIMIT_NAME or any(map(str.isspace, bare)) or name != without_values(name):
        raise ValueError(
            f"The name of a limit has 1 to {LONGEST_LIMIT_NAME} characters, without blanks, and behind that of a rate"
            f" limit stands {RATE!r}, not {name!a}."
        )
