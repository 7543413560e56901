"""A small project in a process of its own: another theme, user model, admin site or database than in the tests' own.

``python -m tests.admin.surroundings sites|office|unfold|people DIRECTORY`` goes through the pages, and raises where one
of them does not work: of Django's own admin site and of another one beside it, or alone; of a site with another theme;
and of one whose users are of another model, and whose functions are in another database.
"""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.contrib import admin
from django.core.management import call_command
from django.test.utils import setup_test_environment
from django.urls import path, reverse

office = admin.AdminSite(name="office")

urlpatterns: list[Any] = []

#: The admin sites there are, where it is not Django's own alone.
SITES = {"sites": ["admin", "office"], "office": ["office"]}


class Router:
    """Keeps what is scheduled in a database of its own."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "jobs" if model._meta.app_label == "django_scheduler" else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return (db == "jobs") == (app_label == "django_scheduler")


def configure(surroundings: str, directory: Path) -> None:
    apps = ["admin", "auth", "contenttypes", "sessions", "messages", "staticfiles"]
    middleware = ["sessions.middleware.SessionMiddleware", "auth.middleware.AuthenticationMiddleware"]
    middleware += ["messages.middleware.MessageMiddleware"]
    processors = ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth"]
    processors += ["django.contrib.messages.context_processors.messages"]
    databases = {
        alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": directory / f"{alias}.sqlite3"}
        for alias in (["default", "jobs"] if surroundings == "people" else ["default"])
    }
    settings.configure(
        SECRET_KEY="of no importance",
        USE_TZ=True,
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF=__name__,
        STATIC_URL="static/",
        DATABASES=databases,
        DATABASE_ROUTERS=[f"{__name__}.Router"] if surroundings == "people" else [],
        # The tables of Django's own apps are made straight from the models.
        MIGRATION_MODULES=dict.fromkeys(apps),
        AUTH_USER_MODEL="people.Person" if surroundings == "people" else "auth.User",
        INSTALLED_APPS=[
            *(["unfold"] if surroundings == "unfold" else []),
            "tests.admin.people",
            *(f"django.contrib.{app}" for app in apps),
            "django_scheduler",
        ],
        MIDDLEWARE=[
            *(f"django.contrib.{name}" for name in middleware[:1]),
            "django.middleware.csrf.CsrfViewMiddleware",
            *(f"django.contrib.{name}" for name in middleware[1:]),
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {"context_processors": processors},
            }
        ],
    )
    django.setup()


def open_admin(surroundings: str) -> None:
    from django_scheduler.admin import OverviewAdmin, ScheduledFunctionAdmin
    from django_scheduler.models import Overview, ScheduledFunction

    names = SITES.get(surroundings, ["admin"])
    if "office" in names:
        office.register(ScheduledFunction, ScheduledFunctionAdmin)
        office.register(Overview, OverviewAdmin)
        urlpatterns.append(path("office/", office.urls))
    if "admin" in names:
        urlpatterns.append(path("admin/", admin.site.urls))


def migrate(surroundings: str) -> None:
    call_command("migrate", verbosity=0, run_syncdb=True)
    if surroundings == "people":
        call_command("migrate", verbosity=0, database="jobs")


def user() -> Any:
    from django.contrib.auth import get_user_model

    model: Any = get_user_model()
    if model.__name__ == "Person":
        return model.objects.create(email="ada@shop.example")
    return model.objects.create_superuser("ada")


def visit(name: str, *, using: str) -> None:
    """Go through the pages of one admin site, and leave nothing behind."""
    from django.contrib.admin.models import LogEntry
    from django.contrib.auth import get_user_model
    from django.test import Client

    from django_scheduler import ctx
    from django_scheduler.models import Pause, ScheduledFunction
    from tests.admin.people.functions import brew

    client = Client()
    client.force_login(user())
    function_id = ctx.scheduler.run_after(timedelta(hours=1), brew)
    functions = ScheduledFunction.objects.using(using)

    def url(view: str, *arguments: object) -> str:
        return reverse(f"admin:django_scheduler_{view}", args=arguments, current_app=name)

    pages = {
        url("overview_changelist"): "Oldest due function",
        url("scheduledfunction_changelist"): "people:brew",
        url("scheduledfunction_change", function_id): "Timeline",
        url("scheduledfunction_history", function_id): "people:brew",
    }
    for address, content in pages.items():
        response = client.get(address)
        assert response.status_code == 200, (address, response.status_code)
        text = response.content.decode()
        assert content in text, (address, text)
        assert address.startswith(f"/{name}/"), address
        other = "/admin/" if name == "office" else "/office/"
        assert f'href="{other}' not in text, address
    act = url("scheduledfunction_act")
    assert client.post(act, {"action": "cancel", "id": [function_id]}).status_code == 200
    response = client.post(act, {"action": "cancel", "id": [function_id], "confirmed": "1"})
    assert response.headers["Location"] == url("scheduledfunction_changelist"), response.headers
    assert functions.get(pk=function_id).state == "canceled"
    response = client.post(url("overview_pause"), {"queue": "email", "confirmed": "1"})
    assert response.headers["Location"] == url("overview_changelist"), response.headers
    assert Pause.objects.using(using).get().paused_by.startswith("ada")
    assert LogEntry.objects.count() == 2
    for model in (ScheduledFunction, Pause, LogEntry, get_user_model()):
        model._default_manager.all().delete()


def main(surroundings: str, directory: str) -> None:
    configure(surroundings, Path(directory))
    open_admin(surroundings)
    migrate(surroundings)
    setup_test_environment()
    for name in SITES.get(surroundings, ["admin"]):
        visit(name, using="jobs" if surroundings == "people" else "default")


if __name__ == "__main__":
    from tests.admin.surroundings import main as imported  # under the name that the settings refer to

    imported(*sys.argv[1:])
