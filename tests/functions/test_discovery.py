"""The module ``functions`` of every installed app is found when Django starts, as ``admin`` is."""

import pytest


def test_its_functions_are_known_without_an_import(start_django):
    process = start_django("from bakery.recipes import bread\n@mutation(name='sell')\ndef sell_bread(ctx): ...")
    assert process.stdout.split() == ["bakery:bake", "bakery:sell"], process.stderr


def test_two_functions_of_one_name_are_an_error_at_start_up(start_django):
    process = start_django("from bakery.recipes import bread\n@mutation\ndef bake(ctx): ...")
    assert process.returncode != 0
    assert "ImproperlyConfigured: Two functions are named 'bakery:bake'" in process.stderr
    assert "bread.py:2" in process.stderr
    assert "functions.py:3" in process.stderr


def test_an_error_in_the_module_is_not_hidden(start_django):
    process = start_django("import no_such_module")
    assert "No module named 'no_such_module'" in process.stderr


def test_a_module_that_is_loaded_again_replaces_its_functions(start_django):
    process = start_django(
        "@mutation\ndef sell(ctx): ...",
        "import django; django.setup(); import importlib; from bakery import functions; before = functions.sell\n"
        "importlib.reload(functions); from django_scheduler.functions import registry\n"
        "print(functions.sell is not before, registry.get('bakery:sell') is functions.sell)",
    )
    assert process.stdout.split() == ["True", "True"], process.stderr


def test_the_package_can_be_imported_before_django_has_started(start_django):
    process = start_django(
        "", "import django_scheduler; print(django_scheduler.__version__, 'ctx' in django_scheduler.__all__)"
    )
    assert process.stdout.split()[1:] == ["True"], process.stderr


def test_the_package_has_what_it_says_and_nothing_else():
    import django_scheduler

    assert all(getattr(django_scheduler, name) is not None for name in django_scheduler.__all__)
    with pytest.raises(AttributeError, match="no attribute 'schedule'"):
        django_scheduler.schedule  # noqa: B018
