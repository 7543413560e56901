"""Our commands take the same options from ``call_command`` as from the command line, and say what went wrong in words.

``call_command`` hands keyword arguments on as they are: argparse neither converts them, nor checks them, nor sees that
two of them exclude each other. So each option is read here once more, in whatever way it came.
"""

from argparse import Action, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError

from django_scheduler.suggestions import did_you_mean


class SchedulerCommand(BaseCommand):
    """Reads options that were given as keyword arguments as it reads those of the command line.

    On the command line they may stand anywhere, also among the arguments.
    """

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        # Django chooses the class of the parser, and calls parse_args itself, so it is this object's that is replaced.
        vars(parser)["parse_args"] = partial(_parse_intermixed, parser)
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        parser = self.create_parser("manage.py", self.__module__.rpartition(".")[2])
        return super().execute(*args, **options | dict(_read(parser, options)))


@contextmanager
def refusing_what_is_wrong(problem: str) -> Iterator[None]:
    """Turn wrong settings, and the errors of a database, into a ``CommandError``, which is shown without a traceback.

    ``problem`` says what cannot be done: "The status cannot be read".
    """
    try:
        yield
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error
    except (DatabaseError, InterfaceError) as error:
        raise CommandError(
            f"{problem}: {str(error).strip()}. Can the database be reached, and has `manage.py migrate` been run?"
        ) from error


def _parse_intermixed(parser: ArgumentParser, args: Sequence[str] | None = None, namespace: Any = None) -> Namespace:
    """Parse a command line in which options stand among the arguments."""
    found: Namespace
    found, unknown = parser.parse_known_intermixed_args(args, namespace)
    if unknown:
        name, equals, _ = unknown[0].partition("=")
        options = [option for action in parser._actions for option in action.option_strings]
        hint = did_you_mean(name, options)
        if equals and any(action.metavar == "NAME=VALUE" for action in parser._actions):
            hint += f" An argument of a function is written without dashes: {unknown[0].lstrip('-')}"
        parser.error(f"unrecognized arguments: {' '.join(unknown)}.{hint}")
    return found


def _read(parser: ArgumentParser, options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for action in parser._actions:
        if action.dest in options:
            yield action.dest, _read_option(action, options[action.dest])
    for group in parser._mutually_exclusive_groups:
        given = [action.option_strings[0] for action in group._group_actions if options.get(action.dest)]
        if len(given) > 1:
            raise CommandError(f"Error: argument {given[1]}: not allowed with argument {given[0]}")


def _read_option(action: Action, value: object) -> object:
    """Return the value of an option as argparse would; ``None`` stands for the default."""
    if value is None:
        return action.default
    if action.nargs == 0:
        if value not in (True, False):
            raise _refusal(action, f"{value!r} is neither True nor False")
        return bool(value)
    if isinstance(action.default, list):
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, Iterable) or not all(isinstance(each, str) for each in values):
            raise _refusal(action, f"{value!r} is neither a str nor a list of them")
        return [*values]
    if not callable(action.type):
        return value
    try:
        convert: Any = action.type
        read: object = convert(value if isinstance(value, timedelta) else str(value))
    except ArgumentTypeError as error:
        raise _refusal(action, str(error)) from None
    except ValueError:
        raise _refusal(action, f"{value!r} is not valid") from None
    if action.choices is not None and read not in action.choices:
        raise _refusal(action, f"{value!r} is none of {', '.join(map(str, action.choices))}")
    return read


def _refusal(action: Action, problem: str) -> CommandError:
    return CommandError(f"Error: argument {'/'.join(action.option_strings)}: {problem}")
