"""Grouping: several due mutations share one transaction, because round trips are what a mutation costs.

The invariant is that of a mutation alone: the effects of each member, what it schedules and cancels, and its
``success`` are one transaction, which holds the locks of all members' rows. The group commits only what each member
would have committed by itself, one after the other. It is formed in the hope that nothing special happens; whatever
else happens rolls all of it back, and those that had begun run alone, as if there had been no group. Nothing had
committed, so this is one more retry, and it is not counted as an attempt.

What is special:

* An exception, an interruption by a cancel, a broken transaction: of a body, or at COMMIT.
* Any error of the database, also one that the body catches: alone, the body decides what that means.
* A constraint that is violated. Deferred ones are checked by each statement here, so that no member repairs what
  another one has left. A body that needs the deferral meets an error in a group, and runs alone. (SQLite cannot check
  them early: there, two members may repair each other's reference within a group.)
* A statement that is not known to do no more than read and write rows of ordinary tables (``statements.py``), or a use
  of the driver past Django's cursor: a setting stays for the rest of the transaction, a trigger may number or audit by
  transaction, and whatever ends the transaction would commit the others' effects without their ``success``, so that
  they would run once more. It is refused before it is executed (``session_guard.py``), whatever the body makes of that,
  and the function is not grouped again as long as the process lives.
* A body that leaves a wrapper of statements behind, or returns to a savepoint that another one has left.
* A call with a key that another member holds: see ``scheduling/keys.py``.
* A member that another one has canceled, put off, or whose record it has changed: the record of success then misses
  a row.

A member whose time is up has used up its budget: it fails, and only the others run alone. If its body does not end,
all of them lose their session and their locks, and others run them.

A cancel from outside finds the locks of all members held by this transaction. Where it interrupts a mutation alone, it
interrupts the group: all of it vanishes, the cancel has its row, and the others run again.
The locks are not held for long: a group begins no further body once ``GROUP_SECONDS`` has passed, or its results are
large, and releases the rows that it has not come to.

COMMIT got no answer: the members have all committed or all vanished, so one row tells it for all.

The transaction is found ended although nothing that ends it was seen: what the members have done may have been
committed, without their ``success``. So they are not run again. They fail, and say so.

How many members a group has is learned, and which functions run alone for a while (``claim_policy.py``): trying again
costs a group each time, and a long body keeps the rows of the other members from everybody else. One that is declared
``@mutation(alone=True)`` always runs alone.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any, NoReturn

from django_scheduler.databases import Database, django_internals
from django_scheduler.errors import BrokenTransaction
from django_scheduler.executor.execution import Execution, SingleExecution, has_expired
from django_scheduler.executor.mutation import MutationExecution
from django_scheduler.executor.rate_slots import give_back
from django_scheduler.executor.session import tidy_connections, tidy_other_connections
from django_scheduler.models import ScheduledFunctionId, State
from django_scheduler.record import announce_successes, let_in, transitions
from django_scheduler.scheduling import share_wake_up
from django_scheduler.transactions import TransactionWatch

#: For how long a group begins further bodies, and keeps the claim lock if it does, in seconds.
GROUP_SECONDS = 0.05

#: After so many bytes of results a group begins no further body: the statement that records them has its limits.
MOST_RESULT_BYTES = 4 * 1024 * 1024


class GroupEnded(Exception):
    """Raised to have the members run alone."""


class MutationGroup(Execution):
    """Executes several mutations in one transaction.

    ``special_relations``: tables that no member may touch. ``execute_alone``: what to do with each of those that had
    begun, if the group does not work out. ``asked_at``: when the claim was sent, by ``time.perf_counter()``.
    """

    def __init__(
        self,
        members: Sequence[MutationExecution],
        database: Database,
        executor_name: str,
        special_relations: Collection[str],
        execute_alone: Callable[[ScheduledFunctionId], None],
        asked_at: float,
    ) -> None:
        #: Those whose rows it keeps from others.
        self._members = members
        self._claimed_ids = {member.id for member in members}
        self._database = database
        self._executor_name = executor_name
        self._special_relations = special_relations
        self._execute_alone = execute_alone
        self._asked_at = asked_at
        #: The members whose bodies have begun.
        self._begun: list[MutationExecution] = []
        #: When it was claimed; and when the first body began and each one ended. By ``time.perf_counter()``.
        self._claimed_at = time.perf_counter()
        self._moments: list[float] = []
        self._is_committing = False
        #: The part of their time in which the bodies have not waited, for the database or for anything else.
        self.computing_share = 0.0
        #: The member that has ended the group.
        self.culprit: MutationExecution | None = None
        #: What a member was about to do that none may do.
        self.refused = ""
        self._was_ended_unseen = False

    @property
    def ids(self) -> Collection[ScheduledFunctionId]:
        members = [self.culprit] if self.culprit and self.is_given_up else self._members
        return [member.id for member in members]

    @property
    def begun(self) -> Sequence[MutationExecution]:
        return self._begun

    @property
    def chosen(self) -> Sequence[MutationExecution]:
        return self._members

    @property
    def is_given_up(self) -> bool:
        return self.culprit is not None and self.culprit.is_given_up

    def only(self, members: Sequence[SingleExecution]) -> Execution:
        self._members = [each for each in self._members if each in members]
        self._claimed_ids = {member.id for member in self._members}
        return self

    def in_transaction(self) -> None:
        results: list[str | None] = []
        result_bytes = 0
        watch = TransactionWatch(self._database, "a group of mutations")
        guard = django_internals.guard_session(self._database.connection)
        self._database.check_constraints_early()
        began_to_compute = time.thread_time()
        self._moments.append(time.perf_counter())
        with watch, guard.refusing(self._refuse, self._special_relations):
            for member in self._members:
                # The claim may have waited for its answer, so what counts is when it was sent.
                if self._begun and has_expired(member.claimed, self._database, self._moments[-1] - self._asked_at):
                    break  # it is claimed again, and canceled
                if self._begun and member.rate_slot is not None and member.rate_slot.is_late:
                    break  # it is claimed again, and takes a slot of its rate limit then
                guard.forget_savepoints()
                result = self._run(member, watch)
                results.append(result)
                result_bytes += len(result or "")
                if self._seconds > GROUP_SECONDS or result_bytes > MOST_RESULT_BYTES:
                    break
        self.computing_share = (time.thread_time() - began_to_compute) / self._seconds
        self._give_back_rate_slots()
        self._members = self._begun  # other workers may claim the others, also while the hooks run here
        if not self._database.has_one_writer:
            self.release_claim_lock()  # what is left is to wait for the database
        self._let_next_in()
        successes = self._successes(results)
        followed = [each for each in (member.followed for member in self._begun) if each is not None]
        if not transitions.SUCCEED.apply_to_each(
            self._database, successes, {"executor": self._executor_name}, followed=followed
        ):
            raise GroupEnded("a member is no longer pending, or no longer due")
        self._is_committing = True

    def after_commit(self) -> None:
        share_wake_up([hook for member in self._begun for hook in member.commit_hooks])
        for member in self._begun:
            member.run_commit_hooks()
        announce_successes([member.as_end(State.SUCCESS) for member in self._begun])

    def after_rollback(self, error: BaseException) -> None:
        self._give_back_rate_slots()
        if self.culprit and self.culprit.timed_out:
            self.culprit.after_rollback(error)
            self._begun.remove(self.culprit)
        tidy_connections(self._database.using)
        if self._was_ended_unseen:
            for member in self._begun:
                member.fail(error)
            return
        if self._is_committing and self._begun[0].has_committed():
            self.after_commit()
            return
        for member in self._begun:
            self._execute_alone(member.id)

    def _run(self, member: MutationExecution, watch: TransactionWatch) -> str | None:
        self._begun.append(member)
        self.culprit = member
        member.release_claim_lock = self.release_claim_lock
        member.shares_with = self._claimed_ids
        member.begin(self._moments[-1])
        result = member.run()
        self._moments.append(member.end())
        self._check(member, watch)
        tidy_other_connections(self._database.using)
        self.culprit = None
        return result

    def _let_next_in(self) -> None:
        """Let in who waits for the limits of the members: of each as many more as there were, up to a large group."""
        if any(member.others_wait for member in self._begun):
            ended = Counter(member.limit for member in self._begun if member.limit and member.others_wait)
            let_in(self._database, {limit: 2 * number for limit, number in ended.items()})

    def _give_back_rate_slots(self) -> None:
        """Free the slots of rate limits that were taken for members that it has not come to."""
        give_back([member.rate_slot for member in self._members[len(self._begun) :] if member.rate_slot])

    @property
    def _seconds(self) -> float:
        """Return for how long the locks have been held when the last body ended."""
        return self._moments[-1] - self._claimed_at

    def _successes(self, results: Sequence[str | None]) -> list[dict[str, Any]]:
        """Return what is recorded of each member. One begins when the one before it has ended."""
        seconds = [each - self._claimed_at for each in self._moments]
        times = self._database.each_later(self._begun[0].claimed.claim_time, seconds)
        return [
            {
                "id": member.id,
                "attempts": member.attempt,
                "started_time": started,
                "completed_time": completed,
                "result": result,
            }
            for member, started, completed, result in zip(self._begun, times[:-1], times[1:], results, strict=True)
        ]

    def _refuse(self, what: str) -> NoReturn:
        self.refused = self.refused or what
        raise GroupEnded(f"{what} concerns the whole transaction")

    def _check(self, member: MutationExecution, watch: TransactionWatch) -> None:
        """Raise ``GroupEnded`` if the body has met an error, or has done something that lasts beyond its end."""
        if watch.has_seen_errors or self.refused or watch.has_left_wrappers:
            raise GroupEnded("the body has done what concerns the whole transaction")
        if watch.would_commit_so_far():
            return
        if watch.was_ended_unseen():
            self._was_ended_unseen = True
            raise BrokenTransaction(
                f"{member.name} {member.id} has ended the transaction that it shared with others, in a way that could"
                " not be seen. What this function wrote may have been committed or not. Look for it, and schedule the"
                f" function again if it is missing. Declare {member.name} with @mutation(alone=True)."
            )
        raise GroupEnded("the body has not left its blocks, or has closed the connection")
