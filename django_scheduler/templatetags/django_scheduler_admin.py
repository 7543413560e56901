"""What the pages of the admin show again and again: a state, a time, a duration, a function's name."""

from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils.formats import number_format

from django_scheduler.admin import readable
from django_scheduler.admin.readable import visible as visible_text
from django_scheduler.models import State

register = template.Library()

register.simple_tag(readable.moment)


@register.inclusion_tag("admin/django_scheduler/includes/state.html")
def state_badge(state: str) -> dict[str, Any]:
    """The state as an icon and a word."""
    return {"state": state, "label": State(state).label if state in State.values else state}


@register.filter
def duration(length: timedelta | float | None) -> str:
    return readable.duration(length)


@register.filter
def age(length: timedelta | float) -> str:
    return readable.age(length)


@register.filter
def exact(time: datetime) -> str:
    return readable.exact(time)


@register.filter
def visible(text: object) -> str:
    """Text with its invisible characters written out."""
    return visible_text(str(text))


@register.filter
def count(number: int) -> str:
    """A number with its thousands set apart."""
    return number_format(number, force_grouping=True)
