"""The module ``functions`` of every installed app is found when Django starts, as ``admin`` is."""

import pytest

from django_scheduler.functions.registry import is_of_this_process


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


def test_a_function_that_is_new_when_the_module_is_loaded_again_can_be_scheduled(start_django):
    process = start_django(
        "",
        "import django; django.setup(); import importlib, pathlib; from bakery import functions\n"
        "with pathlib.Path(functions.__file__).open('a') as file: file.write('\\n@mutation\\ndef fry(ctx): ...\\n')\n"
        "importlib.reload(functions); from django_scheduler.functions import resolve_to_schedule\n"
        "print(resolve_to_schedule('bakery:fry').name)",
    )
    assert process.stdout.split() == ["bakery:fry"], process.stderr


@pytest.mark.parametrize(
    ("module", "is_of_tests"),
    [
        *[(name, True) for name in ("orders.tests", "orders.test_views", "orders_test", "orders.test.functions")],
        *[(name, True) for name in ("orders.tests.views", "orders.views_tests", "conftest", "shop.testing.fakes")],
        *[(name, False) for name in ("orders.views", "testimonials.views", "contests.views", "latest.views")],
    ],
)
def test_modules_of_tests_are_told_by_their_names(module, is_of_tests):
    assert is_of_this_process(module) is is_of_tests


LATE = "from django_scheduler import mutation\n@mutation\ndef late(ctx): ..."
SCHEDULE_LATE = """
import time; import django; django.setup()
from bakery import views
from django_scheduler import crons, ctx
from django_scheduler.errors import FunctionNotFound
for schedule in [
    lambda: ctx.scheduler.run_after(0, views.late),
    lambda: ctx.scheduler.run_at(1000 * time.time(), "bakery:late"),
    lambda: ctx.scheduler.run_after_many(0, views.late, [{}]),
    lambda: ctx.crons.register("a cron", crons.Interval(minutes=5), views.late),
]:
    try:
        schedule()
    except FunctionNotFound as error:
        print(error)
    else:
        print("was scheduled")
"""


def test_a_function_that_only_views_import_is_refused_when_it_is_scheduled(start_django, tmp_path):
    (tmp_path / "bakery" / "views.py").write_text(LATE)

    process = start_django("", SCHEDULE_LATE)

    first, *others = process.stdout.splitlines()
    assert first == (
        "bakery:late was not scheduled, because no executor would find it: it is defined in bakery.views, which was"
        " imported only after Django had started. Move it to the module bakery.functions, or import bakery.views"
        " there: executors import the modules functions and crons of every installed app, and what these import."
    ), process.stderr
    assert others == [first] * 3


def test_a_function_that_the_module_imports_is_found_and_so_is_one_that_the_start_of_another_app_imports(
    start_django, tmp_path
):
    (tmp_path / "bakery" / "views.py").write_text(LATE)
    (tmp_path / "bakery" / "apps.py").write_text(
        "from django.apps import AppConfig\n"
        "class Bakery(AppConfig):\n    name = 'bakery'\n    def ready(self):\n        from bakery import views\n"
    )
    program = "import django; django.setup(); from bakery import views; print(views.late.is_discovered)"

    assert start_django("", program).stdout.split() == ["True"]
    (tmp_path / "bakery" / "apps.py").unlink()
    assert start_django("", program).stdout.split() == ["False"]
    assert start_django("from bakery import views", program).stdout.split() == ["True"]


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
