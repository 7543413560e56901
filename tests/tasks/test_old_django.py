"""With a Django that has no tasks."""

import subprocess
import sys

import django
import pytest

import django_scheduler.tasks
from django_scheduler.functions import registry
from django_scheduler.models import Kind
from django_scheduler.signals import function_finished


@pytest.mark.skipif(django.VERSION >= (6, 0), reason="this Django has tasks")
def test_backend_says_what_it_needs():
    with pytest.raises(ImportError, match=r"needs django\.tasks, which came with Django 6\.0; this is Django 5\.2"):
        _ = django_scheduler.tasks.SchedulerBackend


@pytest.mark.skipif(django.VERSION >= (6, 0), reason="this Django has tasks")
def test_nobody_asks_for_tasks():
    assert not function_finished.has_listeners()
    assert registry.find_recorded("tests.tasks.jobs.add", Kind.ACTION) is None


def test_package_can_be_imported_without_tasks_and_without_settings():
    code = (
        "import sys; sys.modules['django.tasks'] = None\n"
        "import django; django.VERSION = (5, 2, 0, 'final', 0)\n"
        "import django_scheduler.tasks as tasks\n"
        "tasks.register()\n"
        "try:\n    tasks.SchedulerBackend\nexcept ImportError as error:\n    print('Django 6.0' in str(error))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"
