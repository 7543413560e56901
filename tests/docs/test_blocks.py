"""No block of README and docs is left out: each says its language; what it has one type or configure is right."""

import configparser
import json
import re
from pathlib import Path

import pytest
import yaml
from django.core.management import CommandError, get_commands, load_command_class

from tests.docs.blocks import PAGES, ROOT, blocks

#: Which tests look at them; ``text`` shows something that is neither typed nor stored in a file.
LANGUAGES = {
    "python": "test_code, test_tutorial, test_recipes, test_payments and tests/testing/test_recipes",
    "console": "test_tutorial, and here",
    "shell": "here",
    "ini": "here",
    "yaml": "here",
    "dockerfile": "here",
    "text": "nothing to run",
}

#: ``manage.py NAME OPTIONS``, wherever it is: in a block, in a sentence, or as a list of YAML or Docker.
TYPED = re.compile(r'manage\.py"?,? "?([a-z_]+)((?:[ ,"]+(?:--?[a-z][\w-]*|[\w./%][\w./%-]*)"?)*)')
PLACEHOLDERS = {"NAME", "ALIAS", "N", "M", "PATH", "SECONDS", "SIZE"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_its_language(page: Path):
    fences = re.findall(r"^ *```(.*)$", page.read_text(), re.MULTILINE)
    assert set(fences[::2]) <= {fence for fence in fences if fence.split(" ")[0] in LANGUAGES}
    assert len(blocks(page, *LANGUAGES)) == len(fences) / 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_take_the_options_that_they_are_given(page: Path):
    ours = [name for name, app in get_commands().items() if app == "django_scheduler"]
    for name, rest in TYPED.findall(page.read_text()):
        assert name in get_commands(), name
        arguments = re.findall(r'[^\s,"]+', rest)
        if name in ours and not PLACEHOLDERS & set(arguments):
            parser = load_command_class("django_scheduler", name).create_parser("manage.py", name)
            try:
                _, others = parser.parse_known_args(arguments)  # others: the sentence goes on behind the command
            except CommandError as error:
                pytest.fail(f"manage.py {name}{rest}: {error}")
            assert not [argument for argument in others if argument.startswith("-")], f"{name}{rest}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_has_the_targets(page: Path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    typed = re.findall(r"^    (?:[A-Z_]+=\S+ )?make ([a-z-]+)|`make ([a-z-]+)", page.read_text(), re.MULTILINE)
    typed += [
        ("", name)
        for block in blocks(page, "shell")
        for name in re.findall(r"^make ([a-z-]+)", block.text, re.MULTILINE)
    ]
    assert {name for names in typed for name in names if name} <= targets


@pytest.mark.parametrize("block", [block for page in PAGES for block in blocks(page, "ini")], ids=str)
def test_units_of_systemd_can_be_parsed(block):
    unit = configparser.ConfigParser(interpolation=None)
    unit.read_string(block.text)
    assert "manage.py runscheduler" in unit["Service"]["ExecStart"]
    # Longer than executors may take to end.
    assert int(unit["Service"]["TimeoutStopSec"]) > 30


@pytest.mark.parametrize("block", [block for page in PAGES for block in blocks(page, "yaml")], ids=str)
def test_yaml_can_be_parsed(block):
    assert yaml.safe_load(block.text)


@pytest.mark.parametrize("block", [block for page in PAGES for block in blocks(page, "dockerfile")], ids=str)
def test_images_begin_the_command_without_a_shell(block):
    instructions = dict(line.split(" ", 1) for line in block.text.splitlines())
    assert set(instructions) <= {"FROM", "WORKDIR", "COPY", "RUN", "CMD"}
    assert json.loads(instructions["CMD"])[:3] == ["python", "manage.py", "runscheduler"]
