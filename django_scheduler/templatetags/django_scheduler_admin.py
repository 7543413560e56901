"""The templates of the admin show a state, a time, a duration, a number and a name with these."""

from typing import Any

from django import template
from django.apps import apps
from django.utils.formats import number_format

from django_scheduler.models import State

register = template.Library()

if apps.is_installed("django.contrib.admin"):  # Django imports this module on sites without the admin too
    from django_scheduler.admin import age, breakable, duration, exact, moment, visible

    register.simple_tag(moment)
    for function in (age, breakable, duration, exact, visible):
        register.filter(function.__name__, function)


@register.inclusion_tag("admin/django_scheduler/includes/state.html")
def state_badge(state: str) -> dict[str, Any]:
    """Show the state as an icon and a word."""
    return {"state": state, "label": State(state).label if state in State.values else state}


@register.filter
def count(number: int) -> str:
    """Return a number with its thousands set apart."""
    return number_format(number, force_grouping=True)
