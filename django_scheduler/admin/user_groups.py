"""Two groups of users are given what they need in the admin: support, who look, and operators, who intervene.

Neither chooses what runs: to register crons, and to change or delete them, is for whoever a site trusts with that.
"""

from dataclasses import dataclass

from django.contrib.auth.models import Group, Permission
from django.db import transaction

from django_scheduler.errors import SchedulerError

_SEE = ("view_scheduledfunction", "view_cron")

_INTERVENE = (
    "cancel_scheduledfunction",
    "run_now_scheduledfunction",
    "run_again_scheduledfunction",
    "reschedule_scheduledfunction",
    "pause_queue",
    "change_limit",
    "release_slot",
    "pause_cron",
    "run_cron",
)

#: The permissions of each group, by its name.
USER_GROUPS = {"Scheduler support": _SEE, "Scheduler operators": (*_SEE, *_INTERVENE)}


@dataclass(frozen=True, slots=True)
class GivenPermissions:
    """Says which permissions a group of users has been given that it did not have."""

    group: str
    is_new: bool
    #: In the order in which the documentation has them.
    codenames: tuple[str, ...]


def create_user_groups(using: str) -> list[GivenPermissions]:
    """Create the groups that a database does not have, and give each the permissions that it lacks. Take nothing away.

    Raises ``SchedulerError`` if the permissions are not on record there.
    """
    with transaction.atomic(using=using):
        found = Permission.objects.using(using).filter(content_type__app_label="django_scheduler")
        by_name = {permission.codename: permission for permission in found}
        if missing := [name for name in USER_GROUPS["Scheduler operators"] if name not in by_name]:
            raise SchedulerError(
                f"The groups cannot be given permissions that are not in the database {using!r}: {', '.join(missing)}."
                " `manage.py migrate` puts them there."
            )
        return [_give(using, group, names, by_name) for group, names in USER_GROUPS.items()]


def _give(using: str, name: str, codenames: tuple[str, ...], by_name: dict[str, Permission]) -> GivenPermissions:
    group, is_new = Group.objects.using(using).get_or_create(name=name)
    has = set(group.permissions.values_list("pk", flat=True))
    given = tuple(codename for codename in codenames if by_name[codename].pk not in has)
    group.permissions.add(*(by_name[codename] for codename in given))
    return GivenPermissions(name, is_new, given)
