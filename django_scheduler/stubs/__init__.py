"""The stub ``django_scheduler_functions``: what type checkers know of a project's references and names of functions.

* ``stub.py`` has its text: the functions, and the references to them.
* ``methods.py`` has that of the methods which take functions.
* ``shapes.py`` is what a stub says of a function, and ``signatures.py`` of what it takes and returns.
* ``stub_file.py`` knows where the stub of a project is, and whether it is out of date.
"""

from django_scheduler.stubs.stub import FILE_NAME, MODULE, stub_of
from django_scheduler.stubs.stub_file import (
    command_for,
    find_stubs,
    is_up_to_date,
    root_of_project,
    text_of_stub,
    write_stub,
)

__all__ = [
    "FILE_NAME",
    "MODULE",
    "command_for",
    "find_stubs",
    "is_up_to_date",
    "root_of_project",
    "stub_of",
    "text_of_stub",
    "write_stub",
]
