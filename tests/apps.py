"""The tests' app. In a process that a test starts, it is made what the test has asked for in the environment."""

import json
import os
from importlib import import_module

from django.apps import AppConfig


class TestsConfig(AppConfig):
    name = "tests"

    def ready(self) -> None:
        # Intervals that are too long for a test: {"package.module.NAME": value}.
        for path, value in json.loads(os.environ.get("TEST_CONSTANTS", "{}")).items():
            module, _, name = path.rpartition(".")
            assert hasattr(import_module(module), name), path
            setattr(import_module(module), name, value)
        if "TEST_CLOCK_OFFSET" in os.environ:
            from tests.crash import wrong_clock

            wrong_clock.install(float(os.environ["TEST_CLOCK_OFFSET"]))
        if "TEST_FAULT" in os.environ:
            from tests.crash import faults

            faults.install()
