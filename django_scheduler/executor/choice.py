"""Which execution a claimed function gets: by its kind, or by being handed over."""

from django_scheduler import fleet
from django_scheduler.databases import Claimable, Database
from django_scheduler.executor.action import ActionExecution
from django_scheduler.executor.execution import SingleExecution
from django_scheduler.executor.hand_over import HandOver
from django_scheduler.executor.missing import MissingExecution
from django_scheduler.executor.mutation import MutationExecution
from django_scheduler.models import Kind
from django_scheduler.registry import registry


def execution_or_hand_over(claimed: Claimable, database: Database, executor_name: str) -> SingleExecution:
    """What an executor does that has found a due function."""
    if fleet.alias() is not None:
        return HandOver(claimed, database, executor_name)
    return execution_of(claimed, database, executor_name)


def execution_of(claimed: Claimable, database: Database, executor_name: str) -> SingleExecution:
    """What whoever is to execute it does."""
    function = registry.find_recorded(claimed.name, claimed.kind)
    if function is None:
        return MissingExecution(claimed, database, executor_name)
    kind = MutationExecution if function.kind is Kind.MUTATION else ActionExecution
    return kind(claimed, database, executor_name, function)
