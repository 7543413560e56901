"""What ``manage.py check`` says of this app."""

from django.core.checks import CheckMessage, run_checks


def messages(*, deploy: bool = False, database: bool = False) -> list[CheckMessage]:
    """As ``check``, with ``--deploy``, and with ``--database default``."""
    found = run_checks(
        tags=["django_scheduler", *(["database"] if database else [])],
        include_deployment_checks=deploy,
        databases=["default"] if database else None,
    )
    return [message for message in found if (message.id or "").startswith("django_scheduler.")]


def ids(*, deploy: bool = False, database: bool = False) -> set[str]:
    """The last parts of their ids: ``{"E001"}``."""
    found = {message.id or "" for message in messages(deploy=deploy, database=database)}
    return {message_id.removeprefix("django_scheduler.") for message_id in found}


def the_message(message_id: str, *, deploy: bool = False, database: bool = False) -> CheckMessage:
    """The only one of that id, which has a hint."""
    found = messages(deploy=deploy, database=database)
    (message,) = (message for message in found if message.id == f"django_scheduler.{message_id}")
    assert message.hint
    return message
