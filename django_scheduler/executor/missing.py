"""A function that is gone when it is due: renamed, or its app removed. It fails, with its name."""

from django_scheduler.databases import NOW
from django_scheduler.executor.execution import SingleExecution
from django_scheduler.models import Failure, State


class MissingExecution(SingleExecution):
    def in_transaction(self) -> None:
        changes = {
            "state": State.FAILED,
            "failure": Failure.MISSING,
            "error": (
                f"FunctionNotFound: there is no function {self.name!r} in any installed app. It was there when this"
                " was scheduled: restore it (name= keeps an old name), and schedule this again."
            ),
            "started_time": self.claimed.claim_time,
            "completed_time": NOW,
            "attempts": self.attempt,
            "worker": self.executor_name,
        }
        self.database.record(self.id, changes, only_if={"state": State.PENDING})

    def after_commit(self) -> None:
        self.log_end(State.FAILED, Failure.MISSING)

    def after_rollback(self, error: BaseException) -> None:
        raise error
