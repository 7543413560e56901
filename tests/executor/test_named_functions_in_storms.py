"""What a wake-up names is claimed without a look; and nothing else is forgotten because of that."""

from threading import Event

from django_scheduler.databases import DueFunction, database_for
from django_scheduler.executor.claim_policy import LeftToOthers, PutOff
from django_scheduler.executor.poller import Poller, Until
from django_scheduler.models import ScheduledFunctionId


def idle_poller() -> Poller:
    """Return a poller that has looked and found nothing."""
    poller = Poller(database_for("default"), (), Until.STOPPED, Event(), list, PutOff(), LeftToOthers())
    poller._idle_until = float("inf")
    return poller


def test_what_is_named_while_another_one_is_claimed_twice_is_not_forgotten(transactional_db):
    """In a retry storm a worker claims what is healthy, and then in the order of all, for the same look."""
    poller = idle_poller()
    poller.database.connection.ensure_connection()
    poller.wake_up(DueFunction(ScheduledFunctionId(1), 0, "default"))
    lanes = poller.due_lanes() or []
    assert [lane.first_id for lane in lanes] == [1]
    poller.claims_in(lanes)
    poller.wake_up(DueFunction(ScheduledFunctionId(2), 0, "default"))
    poller.claims_in(lanes)
    assert [lane.first_id for lane in poller.due_lanes() or []] == [2]


def test_a_named_function_may_be_claimed_twice_for_one_look(transactional_db):
    poller = idle_poller()
    poller.database.connection.ensure_connection()
    poller.wake_up(DueFunction(ScheduledFunctionId(1), 0, "default"))
    lanes = poller.due_lanes() or []
    poller.claims_in(lanes)
    poller.claims_in(lanes)
