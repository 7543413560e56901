"""Every string of the app is translated, into every language that there is a catalog for."""

import ast
import gettext
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import polib
import pytest
from django.test import override_settings
from django.urls import reverse

import django_scheduler
from django_scheduler.models import State
from tests.admin.conftest import ACT, DETAIL, LIST, OVERVIEW, page, record

pytestmark = pytest.mark.once

APP = Path(django_scheduler.__file__).parent
LANGUAGES = ["de", "es", "fr", "ja", "pt", "zh_Hans"]

FUNCTIONS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"}
IN_TEMPLATES = re.compile(r"""(?:translate |_\()"((?:[^"\\]|\\.)*)\"""")
#: What of a template is not to be read: its tags, the classes of the page, and what is written as in code.
TAGS = re.compile(
    r"{% comment %}.*?{% endcomment %}|{% block (?:bodyclass|coltype) %}.*?{% endblock %}"
    r"|<code>.*?</code>|{%.*?%}|{{.*?}}",
    re.DOTALL,
)
ELEMENTS = re.compile(r"<[^>]*>")
READ_ATTRIBUTES = re.compile(r"""(?:aria-label|alt|placeholder|title)="([^"]*)\"""")
WORD = re.compile(r"[^\W\d_]{2,}")
BLOCKS = re.compile(r"{% blocktranslate.*?%}(.*?)(?:{% plural %}.*?)?{% endblocktranslate %}", re.DOTALL)


@cache
def catalog(language: str) -> polib.POFile:
    return polib.pofile(str(APP / "locale" / language / "LC_MESSAGES" / "django.po"))


@cache
def strings_of_the_app() -> frozenset[str]:
    return frozenset([*strings_in_code(), *strings_in_templates()])


def strings_in_code() -> Iterator[str]:
    for path in APP.rglob("*.py"):
        text = path.read_text()
        if "gettext" not in text:  # no function of these is imported
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
                argument = node.args[0] if node.args else None
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value


def strings_in_templates() -> Iterator[str]:
    for path in APP.rglob("*.html"):
        text = path.read_text()
        yield from IN_TEMPLATES.findall(text)
        for block in BLOCKS.findall(text):
            yield re.sub(r"{{ (\w+) }}", r"%(\1)s", block)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_string_is_translated(language):
    entries = [entry for entry in catalog(language) if not entry.obsolete]
    untranslated = [entry.msgid for entry in entries if not entry.translated()]
    assert untranslated == []
    known = {entry.msgid for entry in entries}
    missing = strings_of_the_app() - known
    assert missing == set(), "Run `make messages`, and translate what it has found."


def test_no_template_has_words_that_are_not_marked_for_translation():
    for path in APP.rglob("*.html"):
        text = TAGS.sub("", BLOCKS.sub("", path.read_text()))
        read = [ELEMENTS.sub("", text), *READ_ATTRIBUTES.findall(text)]
        assert WORD.findall(" ".join(read)) == [], path.name


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_is_what_is_written(language):
    with (APP / "locale" / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for entry in catalog(language):
        if not entry.obsolete and not entry.msgid_plural and not entry.msgctxt:
            assert compiled.gettext(entry.msgid) == entry.msgstr


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_survive(language):
    for entry in catalog(language):
        expected = set(re.findall(r"%\(\w+\)[sd]", entry.msgid))
        for text in [entry.msgstr] if not entry.msgid_plural else entry.msgstr_plural.values():
            assert set(re.findall(r"%\(\w+\)[sd]", text)) == expected, entry.msgid


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "word"),
    [("de", "anstehend"), ("es", "pendiente"), ("fr", "en attente"), ("ja", "保留中"), ("pt", "pendente"),
     ("zh-hans", "待处理")],
)  # fmt: skip
def test_the_pages_are_shown_in_the_language_of_the_site(admin_client, language, word):
    function = record(State.PENDING)
    record(State.FAILED, error="ValueError: no")
    with override_settings(LANGUAGE_CODE=language, USE_THOUSAND_SEPARATOR=True):
        for url_name, *arguments in ((LIST,), (DETAIL, function.pk), (OVERVIEW,)):
            text = page(admin_client, url_name, *arguments)
            assert word in text.lower() or url_name == OVERVIEW
            assert "Scheduled by" not in text


@pytest.mark.django_db
@override_settings(LANGUAGE_CODE="de")
def test_what_all_functions_of_an_action_have_in_common_is_told_in_the_language_of_the_site(admin_client):
    record(State.FAILED, error="ValueError: no")
    query = "state=failed&kind=mutation&finished=24h&by=code&error=ValueError"
    response = admin_client.post(reverse(ACT), {"action": "run_again", "all": "1", "query": query})
    chips = re.findall(r'<span class="ds-chip">(.*?): <bdi>(.*?)</bdi></span>', response.content.decode())
    assert chips == [
        ("Zustand", "fehlgeschlagen"),
        ("Art", "Mutation"),
        ("Beendet", "letzte 24 Stunden"),
        ("Geplant von", "anderem Code"),
        ("Fehler", "ValueError"),
    ]
