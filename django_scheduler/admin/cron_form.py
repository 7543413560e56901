"""Crons are registered and changed in this form: functions are chosen, never typed, and arguments are JSON."""

import json
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.db import router
from django.forms.fields import InvalidJSONInput
from django.forms.renderers import BaseRenderer
from django.forms.utils import flatatt
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from django_scheduler import values
from django_scheduler.admin.readable import visible
from django_scheduler.crons import Cron, CronLine, Interval, Schedule, definitions, line_syntax, next_runs
from django_scheduler.databases import database_for
from django_scheduler.errors import FunctionNotFound, InvalidArguments, InvalidSchedule
from django_scheduler.functions import registry
from django_scheduler.masking import BULLETS, masked
from django_scheduler.values import JSONValue

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Cron]
else:
    ModelForm = forms.ModelForm

#: The button that shows the next runs instead of saving.
PREVIEW = "_preview"
PREVIEWED_RUNS = 5

#: How many lists and objects of JSON may lie within each other: what can be stored has fewer.
DEEPEST = 100


class ArgumentsField(forms.JSONField):
    """Takes JSON. What Python's parser or the database would stumble over is an error of the form too."""

    default_error_messages: ClassVar[Any] = {"deep": _("Nested too deeply.")}

    def to_python(self, value: Any) -> Any:
        try:
            entered = super().to_python(value)
        except (ValueError, RecursionError) as error:  # a number of too many digits, too many brackets
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid") from error
        if not _is_flat(entered, DEEPEST):
            raise forms.ValidationError(self.error_messages["deep"], code="deep")
        return entered

    def bound_data(self, data: Any, initial: Any) -> Any:
        return initial if self.disabled else InvalidJSONInput(data)  # what was entered is shown again as it is


class LongSelect(forms.Select):
    """Renders its options, which are in no groups, without a template and a context for each: there are 600 zones."""

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: BaseRenderer | None = None
    ) -> SafeString:
        chosen = self.format_value(value)
        options = []
        for option, label in self.choices:
            selected = " selected" if str(option) in chosen else ""
            options.append(f'<option value="{escape(str(option))}"{selected}>{escape(str(label))}</option>')
        attributes = flatatt({"name": name, **self.build_attrs(self.attrs, attrs)})
        return format_html("<select{}>{}</select>", attributes, mark_safe("".join(options)))


class CronForm(ModelForm):
    """Edits a cron with its schedule, an interval or a cron line. A button previews its next runs."""

    function = forms.ChoiceField(label=_("Function"), widget=LongSelect)
    args = ArgumentsField(
        label=_("Arguments"),
        required=False,
        initial=dict,
        widget=forms.Textarea(attrs={"rows": 4, "cols": 60, "class": "vLargeTextField"}),
        help_text=_("A JSON object: the names of the function's parameters and their values."),
    )
    every = forms.DurationField(
        label=_("Every"),
        required=False,
        help_text=_("An interval, as in 00:10:00 (ten minutes) or 1 00:00:00 (a day). Either this or a cron line."),
    )
    line = forms.CharField(
        label=_("Cron line"),
        required=False,
        max_length=line_syntax.LONGEST_LINE,
        help_text=_(
            "Minute, hour, day of month, month, day of week, as in 0 9 * * mon-fri. H as the minute chooses one from"
            " the name."
        ),
    )
    timezone = forms.ChoiceField(label=_("Time zone"), required=False, widget=LongSelect)

    class Meta:
        model = Cron
        fields = ("name", "function", "args", "every", "line", "timezone", "catch_up", "pause_after_failures")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Whether another function is to be called than before, or with other arguments.
        self.has_other_call = False
        #: The function, and its arguments as they are stored and shown, of a cron that is changed.
        self._before = (self.instance.function, self.instance.args, masked(self.instance.function, self.instance.args))
        if self.instance.pk is not None:
            self.initial["args"] = self._before[-1]
        fields: dict[str, Any] = self.fields
        if "function" in fields:  # not for those who may only look
            for_people = {function.name for function in registry if function.admin}
            fields["function"].choices = _choices(for_people | {self.instance.function})
        if "timezone" in fields:
            zones = {settings.TIME_ZONE, self.instance.timezone} - {""}
            fields["timezone"].choices = _choices(_timezones() | zones)
            fields["timezone"].initial = self.instance.timezone or settings.TIME_ZONE
        #: The next runs, once they have been asked for.
        self.preview: list[datetime] = []

    def is_valid(self) -> bool:
        """Return ``False`` when only a preview is wanted, so that the form is shown again, with its answer."""
        valid = super().is_valid()
        if PREVIEW not in self.data:
            return valid
        if valid:
            now = database_for(self.instance._state.db or router.db_for_write(Cron)).current_time()
            self.preview = next_runs(self.schedule, now, PREVIEWED_RUNS, anchor=self.instance.anchor)
        return False

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if problem := definitions.problem_with_name(name):
            raise forms.ValidationError(visible(problem))
        if Cron.objects.filter(name__iexact=name).exists():
            raise forms.ValidationError(_("There is a cron of this name already."))
        return name

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        self._clean_arguments(cleaned)
        self._clean_schedule(cleaned)
        return cleaned

    @property
    def schedule(self) -> Schedule:
        """Return the schedule that was entered. Raises ``InvalidSchedule``."""
        cleaned = self.cleaned_data
        options = {
            "catch_up": cleaned.get("catch_up", "one"),
            "pause_after_failures": cleaned.get("pause_after_failures"),
        }
        if cleaned.get("every") is not None:
            return Interval(every=cleaned["every"], **options)
        name = cleaned.get("name") or self.instance.name
        return CronLine(cleaned["line"], timezone=cleaned.get("timezone") or None, **options).for_cron(name)

    @property
    def arguments(self) -> dict[str, object]:
        """Return the arguments that were entered; nothing of the project's in them is restored.

        Raises ``InvalidArguments``.
        """
        return values.check_arguments(self.cleaned_data["function"], self.cleaned_data["args"])

    def _clean_arguments(self, cleaned: dict[str, Any]) -> None:
        if "args" not in cleaned or "function" not in cleaned:
            return
        cleaned["args"] = {} if cleaned["args"] is None else cleaned["args"]
        function, stored, shown = self._before
        self.has_other_call = cleaned["function"] != function or not _are_same(cleaned["args"], shown)
        if not self.has_other_call:
            cleaned["args"] = stored
            return
        # Otherwise what is masked could be sent to wherever the rest is changed to.
        has_new_mask = _has_mask(cleaned["args"]) and not _has_mask(stored)
        if has_new_mask or _keeps_mask(cleaned["args"], shown, stored):
            self.add_error("args", _("Enter anew what is masked: it is only kept if nothing else is changed."))
            return
        try:
            target = registry.get(cleaned["function"])
            values.dump_arguments(target.name, target.bind((), self.arguments))
        except FunctionNotFound as error:
            self.add_error("function", visible(error))
        except InvalidArguments as error:
            self.add_error("args", visible(error))

    def _clean_schedule(self, cleaned: dict[str, Any]) -> None:
        if "every" not in cleaned or "line" not in cleaned:
            return
        if (cleaned["every"] is None) == (cleaned["line"] == ""):
            self.add_error("line", _("Enter either an interval or a cron line."))
            return
        try:
            self.schedule  # noqa: B018  (whether there is one)
        except InvalidSchedule as error:
            self.add_error("every" if cleaned["every"] is not None else "line", visible(error))


def _are_same(one: JSONValue, other: JSONValue) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)  # True == 1, but not in JSON


def _has_mask(args: JSONValue) -> bool:
    return BULLETS in json.dumps(args, ensure_ascii=False)


def _keeps_mask(entered: JSONValue, shown: JSONValue, stored: JSONValue) -> bool:
    """Return whether something is left as it was shown instead of what is stored, whatever ``MASK`` shows."""
    if shown == stored:
        return False
    if isinstance(entered, dict) and isinstance(shown, dict) and isinstance(stored, dict):
        common = entered.keys() & shown.keys() & stored.keys()
        return any(_keeps_mask(entered[key], shown[key], stored[key]) for key in common)
    if isinstance(entered, list) and isinstance(shown, list) and isinstance(stored, list):
        return any(map(_keeps_mask, entered, shown, stored))
    return entered == shown


def _is_flat(value: object, levels: int) -> bool:
    """Return whether no more than so many lists and objects lie within each other."""
    if not isinstance(value, list | dict):
        return True
    items = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_flat(item, levels - 1) for item in items)


@cache
def _timezones() -> frozenset[str]:
    """Return the names of all time zones, for which Python opens each of their files."""
    return frozenset(available_timezones())


def _choices(options: Iterable[str]) -> list[tuple[str, str]]:
    return [(option, option or "---------") for option in sorted(options)]
