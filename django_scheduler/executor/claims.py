"""Claims say in which lanes a worker claims at once, and how many functions.

The first lane, in which the first function is due, decides. If it is the only one of its priority, or if what is due in
it cannot share a transaction, the claim is made in this lane alone. Else it is made in several lanes, of which each
gives a few functions: where there are many lanes with a few each, one claim for each lane would be one for each
function. (Measured on PostgreSQL with 2,000 queues of three functions each: 417 functions a second, of 11,071 in two
queues.) This is the order in which functions are claimed:

* Those of a higher priority come first, as far as the poller knows of them.
* Those of one lane are claimed in the order of their due times, and at equal times in that of their ids.
* Those that one claim has taken do so as well, whatever their lanes.
* A claim in one lane takes nothing that is due after the first function of the next lane of its priority. One in
  several takes no function that is due more than ``SLACK`` later than the first one of all, plus ``SLACK_SHARE`` of how
  late that one is. So between queues, nothing is claimed before something that had been due for much longer.
* Only if all that is found like this is locked by others, the claim takes what comes after it.
* Tenants of one queue and priority take turns (``turns.py``): whose turn it is comes before what is due earlier. A
  claim in several of their lanes takes from each of them, whenever its functions are due, and begins with one of each.

So each claim begins with what has waited longest, and no lane starves: one with a large backlog gives as many as each
of the others, whose functions are as late; and those that are less late wait as they would in one queue. One worker
starts what it has claimed in this order; several do so side by side.

Each lane is asked for so few that all that is locked is executed. Others see a row as locked, and pass over it, only
while its turn is about to come.

A lane keeps *apart* from the others as long as its first function has to run alone; and lanes whose last functions were
actions are not claimed together with those of mutations, because what comes first decides what is done with the others.
So the first long body of a queue may hold up a few functions of others, as it does those of its own. Then its function
runs alone for a while (``claim_policy.py``).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from django_scheduler.databases import Claimable, Lane
from django_scheduler.executor.claim_policy import LARGEST, Claim, GroupingPolicy, GroupSize
from django_scheduler.executor.turns import ONE_TURN
from django_scheduler.functions import registry
from django_scheduler.models import Kind

#: How much later a function may be due than the first one of its priority to be claimed with it, in seconds.
SLACK = 1.0

#: What is added to that, as a part of how late the first one is: what has waited for an hour may wait a little longer.
SLACK_SHARE = 0.1


class ClaimedTooMany(Exception):
    """More is locked than a mutation that runs alone: for as long as its body takes, nobody else could execute it."""


def claims_in(
    lanes: Sequence[Lane], policy: GroupingPolicy, *, idle: int, later: Callable[[Any, float], Any]
) -> Iterator[Claim]:
    """Yield one claim after the other, of which the first that finds anything is to be the last.

    ``lanes``: all that are due, in the order in which to serve them. ``idle``: how many workers could begin an action
    now. ``later`` returns a time some seconds after another one.
    """
    lanes = policy.turns.in_turn(lanes)
    position, end, fewest = 0, len(lanes), 1
    passed_over: list[Claim] = []
    while position < end:
        claim = _next_claim(lanes, position, policy, idle, later, fewest)
        yield claim
        fewest = LARGEST  # others are here, so many lanes may be locked
        position += len(claim.lanes)
        if claim.before is not None:
            passed_over.append(claim)
        if passed_over and (position == end or lanes[position].priority != claim.lanes[0].priority):
            for each in passed_over:
                yield each._replace(before=None)
            passed_over = []


def _next_claim(
    lanes: Sequence[Lane],
    position: int,
    policy: GroupingPolicy,
    idle: int,
    later: Callable[[Any, float], Any],
    fewest: int,
) -> Claim:
    """Return the claim in the lanes from this position on. ``fewest``: in how many at least, if they can be joined."""
    first, following = lanes[position], position + 1
    size = policy.size_in(first)
    before = lanes[following] if following < len(lanes) and lanes[following].priority == first.priority else None
    takes_turns = policy.turns.are_taken_in(first)
    alone = policy.claim_in(first, idle=idle, before=None if takes_turns else before)
    if takes_turns and alone.most > ONE_TURN:
        alone = alone._replace(most=ONE_TURN, of_each=ONE_TURN)
    if before is None or size.is_apart:
        return alone
    slack = SLACK + SLACK_SHARE * max(0.0, -first.due_in)
    joining = _Joining(first, slack, policy, size.is_of_actions, takes_turns=takes_turns)
    if not joining.takes(before):
        return alone
    size = policy.size_of_several(first.priority, are_actions=bool(size.is_of_actions))
    most = size.to_claim(idle=idle)
    last = following
    limit = min(len(lanes), position + max(most, fewest))
    while last < limit and joining.takes(lanes[last]):
        last += 1
    joined = lanes[position:last]
    if takes_turns:
        before = None
    elif last < len(lanes) and joining.is_near(lanes[last]):
        before = lanes[last]
    else:
        before = replace(first, due_time=later(first.due_time, slack), first_id=0)
    return Claim(joined, size, most, -(-most // len(joined)), before, is_shared=True)


def learn_of_lanes(claim: Claim, policy: GroupingPolicy, claimed: Sequence[Claimable], number: int) -> GroupSize:
    """Learn which lanes keep apart from the others. Return what the size of the group is learned for.

    ``number``: how many of what was claimed are executed, and no more because the next one is of another kind. That one
    and the rest would be locked in vain, so unless its lane had to be claimed in, ``ClaimedTooMany`` is raised.
    """
    sizes = [policy.size_of((each.queue, claim.lanes[0].priority)) for each in claimed[: number + 1]]
    for each, size in zip(claimed[:number], sizes, strict=False):
        size.is_of_actions = each.kind == Kind.ACTION
    sizes[0].is_apart = _runs_alone(claimed[0], policy)
    if number < len(claimed):
        following, size = claimed[number], sizes[-1]
        before = size.is_of_actions, size.is_apart
        size.is_of_actions, size.is_apart = following.kind == Kind.ACTION, _runs_alone(following, policy)
        if size not in sizes[:-1] and before != (size.is_of_actions, size.is_apart):
            raise ClaimedTooMany
    return sizes[0] if sizes[0].is_apart else claim.size


class _Joining:
    """Says which lanes may be claimed in together with the first one."""

    def __init__(
        self, first: Lane, slack: float, policy: GroupingPolicy, are_actions: bool | None, *, takes_turns: bool
    ) -> None:
        self._priority = first.priority
        #: The queue whose lanes may be claimed in together, whenever their functions are due.
        self._queue = first.queue if takes_turns else None
        self._latest = first.due_in + slack
        self._policy = policy
        #: Whether they are lanes of actions; ``None``: that is not known of any of them so far.
        self._are_actions = are_actions

    def is_near(self, lane: Lane) -> bool:
        """Return whether a lane begins no later than the slack allows, or takes its turn."""
        return lane.priority == self._priority and (lane.due_in <= self._latest or lane.queue == self._queue)

    def takes(self, lane: Lane) -> bool:
        """Return whether the functions of a lane may be claimed with those of the ones before."""
        if not self.is_near(lane):
            return False
        size = self._policy.size_in(lane)
        if size.is_apart:
            return False
        if self._are_actions is None:
            self._are_actions = size.is_of_actions
        return size.is_of_actions is None or size.is_of_actions == self._are_actions


def _runs_alone(claimed: Claimable, policy: GroupingPolicy) -> bool:
    function = registry.find_recorded(claimed.name, claimed.kind)
    return (
        function is not None and function.kind is Kind.MUTATION and (function.alone or policy.runs_alone(claimed.name))
    )
