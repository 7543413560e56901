"""An app that overrides this one's templates must come before it."""

import pytest
from django.apps import AppConfig, apps

from tests.checks.messages import ids, the_message


@pytest.fixture
def app_with_files(tmp_path, monkeypatch):
    """An app that has these files, before or after django_scheduler."""

    def make(*files: str, after: bool) -> None:
        for file in files:
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        config = AppConfig("overriding", __import__("tests"))
        config.path = str(tmp_path)
        configs = dict(apps.app_configs)
        monkeypatch.setattr(
            apps, "app_configs", {**configs, "overriding": config} if after else {"overriding": config, **configs}
        )

    return make


@pytest.fixture
def a_template_of_ours(tmp_path_factory, monkeypatch):
    ours = tmp_path_factory.mktemp("ours")
    template = "templates/admin/django_scheduler/index.html"
    (ours / template).parent.mkdir(parents=True)
    (ours / template).touch()
    monkeypatch.setattr(apps.get_app_config("django_scheduler"), "path", str(ours))
    return template


def test_an_override_that_comes_too_late_is_a_warning(app_with_files, a_template_of_ours):
    app_with_files(a_template_of_ours, "templates/overriding/index.html", after=True)

    message = the_message("W003")
    assert "admin/django_scheduler/index.html" in message.msg
    assert "overriding/index.html" not in message.msg.replace("django_scheduler/index.html", "")


def test_an_override_that_comes_first_is_fine(app_with_files, a_template_of_ours):
    app_with_files(a_template_of_ours, after=False)
    assert ids() == set()


def test_files_that_override_nothing_are_fine(app_with_files, a_template_of_ours):
    app_with_files("templates/admin/django_scheduler/other.html", "templates/admin/index.html", after=True)
    assert ids() == set()
