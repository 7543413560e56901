"""Write a plan as Python, for a module ``crons``. What cannot be code is a comment, so that the output is a module."""

from __future__ import annotations

import ast
import keyword
import textwrap
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from uuid import UUID

from django_scheduler.crons import CronLine, Interval, Schedule
from django_scheduler.functions import AnyFunction
from django_scheduler.importing.plan import Importable, Plan
from django_scheduler.times import in_utc

LONGEST_LINE = 100

#: From this many decimal digits on, Python may refuse to write and to read a number, unless it is hexadecimal: see
#: ``sys.set_int_max_str_digits``, which takes no limit below 640.
FEWEST_DIGITS_REFUSED = 640

UNITS = (("hours", timedelta(hours=1)), ("minutes", timedelta(minutes=1)), ("seconds", timedelta(seconds=1)))


def as_code(plan: Plan) -> str:
    """Return a module that registers the crons of a plan, with comments about everything else."""
    crons = {step.name: step for step in plan.importable if isinstance(step.entry.when, Schedule)}
    registrations = {name: _registration(step) for name, step in crons.items()}
    blocks = ["\n".join(_imports(registrations.values()))] if crons else []
    blocks += [_with_notes(crons[name], code, plan.source) for name, code in registrations.items()]
    blocks += _calls([step for step in plan.importable if step.name not in crons])
    blocks += [_comment(str(step)) for step in plan.steps if not isinstance(step, Importable)]
    return "\n\n".join([*blocks, ""])


def _imports(statements: Iterable[str]) -> Iterator[str]:
    """Yield what the statements need to be imported."""
    tree = ast.parse("\n".join(statements))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for module in ("datetime", "decimal", "uuid", "zoneinfo"):
        if module in used:
            yield f"import {module}"
    yield f"from django_scheduler import {', '.join(sorted(used & {'api', 'crons', 'ctx', 'internal'}))}"


def _registration(step: Importable) -> str:
    assert isinstance(step.entry.when, Schedule)
    what = [_written(step.name), _schedule(step.entry.when), *_function_and_arguments(step)]
    return _statement("crons.register", what)


def _with_notes(step: Importable, code: str, source: str) -> str:
    notes = [f"{step.name!r}: {note}" for note in step.notes]
    if any(isinstance(node, ast.Constant) and node.value is ... for node in ast.walk(ast.parse(code))):
        notes.append(f"{step.name!r}: what stands as ... has no literal, and has to be written by hand.")
    if step.entry.paused:
        notes.append(f"{step.name!r} is disabled in {source}:")
        code = _commented(code)
    return "\n".join([*map(_comment, notes), code])


def _calls(steps: list[Importable]) -> Iterator[str]:
    """Yield the calls that schedule what runs once, as comments: in a module, each process would call them."""
    calls = {step.name: _call(step) for step in steps}
    if calls:
        yield _comment("These run once. Schedule them in manage.py shell, and not in a module:")
        yield _commented("\n".join(_imports(calls.values())))
    for step in steps:
        yield "\n".join([_comment(f"{step.name!r}:"), *map(_comment, step.notes), _commented(calls[step.name])])


def _call(step: Importable) -> str:
    assert isinstance(step.entry.when, datetime)
    what = [_written(in_utc(step.entry.when)), *_function_and_arguments(step)]
    options = ", ".join(f"{name}={_written(value)}" for name, value in step.options.items())
    return _statement(f"ctx.scheduler.options({options}).run_at", what)


def _statement(function: str, arguments: list[str]) -> str:
    line = f"{function}({', '.join(arguments)})"
    if len(line) <= LONGEST_LINE:
        return line
    return "\n".join([f"{function}(", *(f"    {each}," for each in arguments), ")"])


def _function_and_arguments(step: Importable) -> list[str]:
    names = {name: name.isidentifier() and not keyword.iskeyword(name) for name in step.arguments}
    written = {name: _written(value) for name, value in step.arguments.items()}
    arguments = [f"{name}={written[name]}" for name, can_stand in names.items() if can_stand]
    others = [f"{_written(name)}: {written[name]}" for name, can_stand in names.items() if not can_stand]
    return [_reference(step.function), *arguments, *([f"**{{{', '.join(others)}}}"] if others else [])]


def _reference(function: AnyFunction) -> str:
    return f"{'api' if function.public else 'internal'}.{function.name.replace(':', '.')}"


def _schedule(schedule: Schedule) -> str:
    options = "" if schedule.catch_up == "one" else f", catch_up={_written(schedule.catch_up)}"
    if isinstance(schedule, CronLine):
        return f"crons.CronLine({_written(schedule.line)}, timezone={_written(schedule.timezone)}{options})"
    assert isinstance(schedule, Interval)
    for name, unit in UNITS:
        if not schedule.every % unit:
            return f"crons.Interval({name}={schedule.every // unit}{options})"
    return f"crons.Interval(every={_written(schedule.every)}{options})"


def _written(value: object) -> str:
    """Return a value as Python writes it; ``...`` for what it does not write."""
    match value:
        case str() if type(value) is str and '"' not in value and "\\" not in repr(value):
            return f'"{value}"'
        case list():
            return f"[{', '.join(map(_written, value))}]"
        case tuple():
            return f"({', '.join(map(_written, value))}{',' * (len(value) == 1)})"
        case set() if value:
            return f"{{{', '.join(map(_written, value))}}}"
        case dict():
            return f"{{{', '.join(f'{_written(key)}: {_written(each)}' for key, each in value.items())}}}"
        case Decimal():
            return f"decimal.{value!r}"
        case UUID():
            return f"uuid.{value!r}"
        case int() if abs(value) >= 10**FEWEST_DIGITS_REFUSED:
            return hex(value)
        case float() if not isfinite(value):
            return f'float("{value}")'
        case datetime(tzinfo=zone) | time(tzinfo=zone) if zone is not None and not _is_of_python(zone):
            return "..."
        case date() | time() | timedelta() if _is_of_python(value):
            return repr(value)
        case _ if type(value) in (type(None), bool, int, float, str, bytes, set):
            return repr(value)
        case _:
            return "..."


def _is_of_python(value: object) -> bool:
    """Return whether it is a time, or a time zone, that Python can write."""
    return type(value).__module__ in ("datetime", "zoneinfo")


def _comment(text: str) -> str:
    lines = textwrap.wrap(" ".join(text.split()), LONGEST_LINE - 2, break_long_words=False, break_on_hyphens=False)
    return _commented("\n".join(lines))


def _commented(code: str) -> str:
    return "\n".join(f"# {line}".rstrip() for line in code.splitlines())
