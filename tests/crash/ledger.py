"""What must be true of the ledger, whatever has happened to the executors."""

from collections import Counter

from django.db.models import Sum

from django_scheduler import ctx
from django_scheduler.models import UNFINISHED, Executor, Failure, ScheduledFunction, State
from tests.crash import functions, leftovers
from tests.models import Account, Entry
from tests.support.waiting import wait_until

ACCOUNTS = 3

MUTATIONS = ["tests:post", "tests:post_slowly", "tests:exhaust_memory", "tests:loop"]


class Ledger:
    def __init__(self) -> None:
        self._accounts = Account.objects.bulk_create([Account() for _ in range(ACCOUNTS)])

    def schedule_posts(self, number: int, function=functions.post) -> list[int]:
        accounts = [account.pk for account in Account.objects.all()]
        arguments = [{"account_id": accounts[each % ACCOUNTS]} for each in range(number)]
        return list(ctx.scheduler.run_after_many(0, function, arguments))

    def wait_until_all_is_decided(self, timeout: float = 40.0) -> None:
        unfinished = ScheduledFunction.objects.filter(state__in=UNFINISHED)
        wait_until(lambda: not unfinished.exists(), "everything was decided", timeout=timeout)

    def check(self) -> None:
        """Mutations exactly once or not at all, as their state says; actions at most once; nothing stuck."""
        entries = Counter(Entry.objects.values_list("function_id", flat=True))
        assert all(times == 1 for times in entries.values()), f"done more than once: {entries}"
        for row in ScheduledFunction.objects.exclude(name__in=[function.name for function in leftovers.LEAVING]):
            done = entries.pop(row.pk, 0)
            if row.name in MUTATIONS:
                assert done == (row.state == State.SUCCESS), f"{row} is {row.state}, and was done {done} times"
            elif row.state == State.SUCCESS:
                assert done == 1, f"{row} has succeeded, and was not done"
            elif row.state == State.FAILED:
                assert row.failure in (Failure.LOST, Failure.ERROR), f"{row} is {row.failure}"
            assert row.state != State.IN_PROGRESS, f"{row} is stuck"
        assert not entries, f"done by nobody on record: {entries}"
        posted = Entry.objects.filter(label="posted").count()
        assert (Account.objects.aggregate(sum=Sum("balance"))["sum"] or 0) == posted
        assert not Executor.objects.exists()
