"""Django's own tests of its backends, run against this one, from Django's source distribution.

They were written for the dummy and the immediate backend, so each class is run with a backend of ours in that place
(``stand_ins.py``). What differs is listed in ``DIFFERENT``, with the reason. Nothing of Django's is kept with our code.
"""

import functools
import subprocess
from inspect import iscoroutinefunction

import pytest
from django.db import connections
from django.test import TransactionTestCase, override_settings

from django_scheduler.executor import by_id
from tests.tasks.django_source import find_tests_of_this_django

#: Test -> why it cannot hold for a backend whose results are in the database.
DIFFERENT = {
    "test_using_correct_backend": "it asserts that the backend is Django's",
    "test_cannot_get_result": "results can be retrieved here",
    "test_cannot_refresh_result": "results can be refreshed here",
    "test_cannot_pass_run_after": "tasks can be deferred here",
    "test_throws_keyboard_interrupt": "a worker records how a task has ended, and goes on",
    "test_refresh_result": "it changes the list of the dummy's results; ours are rows",
    "test_refresh_result_async": "it changes the list of the dummy's results; ours are rows",
    "test_get_backend": "it asserts that the backends are Django's",
}

try:
    directory = find_tests_of_this_django()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(directory)
        from tasks import test_dummy_backend, test_immediate_backend, test_tasks  # type: ignore[import-not-found]
except (OSError, subprocess.SubprocessError, ImportError) as error:
    pytest.skip(f"the source distribution of this Django cannot be had: {error!r}", allow_module_level=True)

DUMMY = {"BACKEND": "tests.tasks.stand_ins.LikeDummy"}
IMMEDIATE = {"BACKEND": "tests.tasks.stand_ins.LikeImmediate"}


def closing_its_connections(test):
    """What these tests do with the database in their event loop's own thread, they do for a list, and close nothing."""

    @functools.wraps(test)
    async def test_and_close():
        try:
            await test()
        finally:
            connections.close_all()

    return test_and_close


class OnTheDatabase(TransactionTestCase):
    """Rows instead of lists: the tests' async bodies may read them, and none is left to the next test."""

    databases = {"default"}

    def __call__(self, result=None):
        test = getattr(self, self._testMethodName)
        if iscoroutinefunction(test):
            setattr(self, self._testMethodName, closing_its_connections(test))
        super().__call__(result)

    def setUp(self):
        different = DIFFERENT.get(self._testMethodName)
        if different:
            self.skipTest(different)
        self.enterContext(pytest.MonkeyPatch.context()).setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        super().setUp()

    def tearDown(self):
        super().tearDown()
        by_id.leave()


@override_settings(TASKS={"default": {**DUMMY, "QUEUES": []}})
class TestLikeDummy(OnTheDatabase, test_dummy_backend.DummyBackendTestCase):  # type: ignore[misc]
    pass


@override_settings(TASKS={"default": {**IMMEDIATE, "QUEUES": []}})
class TestLikeImmediate(OnTheDatabase, test_immediate_backend.ImmediateBackendTestCase):  # type: ignore[misc]
    pass


@override_settings(
    TASKS={
        "default": {**DUMMY, "QUEUES": ["default", "queue_1"]},
        "immediate": {**IMMEDIATE, "QUEUES": []},
        "missing": {"BACKEND": "does.not.exist"},
    }
)
class TestTasks(OnTheDatabase, test_tasks.TaskTestCase):  # type: ignore[misc]
    pass
