"""Who may do what: a permission for seeing, and one of its own for each thing that can be done."""

from typing import Any

from django.http import HttpRequest

from django_scheduler.admin.actions import Action


def may_view(request: HttpRequest) -> bool:
    """Whether the user may see scheduled functions, and how the scheduler is doing."""
    return _has(request, "django_scheduler.view_scheduledfunction")


def may_act(request: HttpRequest, action: Action) -> bool:
    """Whether the user may do this to functions: who may not see them may not."""
    return may_view(request) and _has(request, action.permission)


def may_pause(request: HttpRequest) -> bool:
    """Whether the user may pause and resume queues."""
    return may_view(request) and _has(request, "django_scheduler.pause_queue")


def _has(request: HttpRequest, permission: str) -> bool:
    user: Any = request.user  # of whatever model
    return bool(user.has_perm(permission))
