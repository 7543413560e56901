"""Limits in the admin: why a function waits, what holds the slots, and what people may do about it."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection, transaction
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from django_scheduler import Context, RateLimit, ctx, internal_mutation, pausing
from django_scheduler import limits as changing
from django_scheduler.admin import limits, listing, times
from django_scheduler.databases import browsing, database_for, limit_browsing
from django_scheduler.models import FAR, Executor, Failure, Kind, Limit, Pause, ScheduledFunction, Slot, State
from tests.admin import limited_functions  # noqa: F401  (declares the limits)
from tests.admin.conftest import ACT, DETAIL, LIST, OVERVIEW, act, client_with, ids_on, messages_of, page, record
from tests.status.records import put_living_executor_on_record, put_starts_on_record
from tests.support.elsewhere import elsewhere
from tests.support.in_process import executing
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db

LIMITS = "admin:django_scheduler_overview_limits"
CHANGE = "admin:django_scheduler_overview_change_limit"
RELEASE = "admin:django_scheduler_overview_release_slot"

BANK = "bank [7]"


def waiting(since: timedelta = timedelta(0), limit: str = BANK, **values: Any) -> ScheduledFunction:
    """A function that has been waiting for a limit for so long."""
    return record(
        State.PENDING, name="tests:ask_bank", kind=Kind.ACTION, waits_for=limit, due_time=FAR,
        waiting_since=timezone.now() - since, args={"account_id": 7}, **values,
    )  # fmt: skip


def holding(number: int, limit: str = BANK, state: State = State.IN_PROGRESS, **values: Any) -> Slot:
    """A slot, held by an action that has begun."""
    values.setdefault("started_time", timezone.now() - timedelta(minutes=3))
    function = record(state, name="tests:ask_bank", kind=Kind.ACTION, executor="here:1:0", **values)
    return Slot.objects.create(limit=limit, number=number, function=function, attempt=1, executor="here:1:0")


def words_of(text: str) -> str:
    """What a page says, without its markup."""
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


# Why a function waits


@pytest.mark.once
def test_page_of_a_function_says_why_it_waits(admin_client):
    slots = [holding(0), holding(1)]
    for minutes in (50, 40, 30):
        waiting(timedelta(minutes=minutes))
    function = waiting(timedelta(minutes=20))
    waiting(timedelta(minutes=10))
    waiting(timedelta(minutes=60), limit="bank [8]")

    text = page(admin_client, DETAIL, function.pk)

    said = words_of(text)
    assert "Waits for a slot of bank, account_id 7 , due 20 min ago" in said
    assert "2 of 2 running" in said
    assert "3 come before it" in said
    assert all(reverse(DETAIL, args=[slot.function_id]) in text for slot in slots)
    assert "9000" not in text


def test_of_those_that_have_waited_equally_long_the_one_scheduled_first_comes_first(admin_client):
    now = timezone.now()
    first, second = (
        record(State.PENDING, waits_for=BANK, due_time=FAR, waiting_since=now, name="tests:ask_bank") for _ in range(2)
    )

    assert "0 come before it" in words_of(page(admin_client, DETAIL, first.pk))
    assert "1 comes before it" in words_of(page(admin_client, DETAIL, second.pk))


def the_first_of_them(admin_client: Client, function: ScheduledFunction) -> str:
    """What a page says of the first function that comes before another."""
    _, found, said = words_of(page(admin_client, DETAIL, function.pk)).partition("The first of them:")
    return said.partition(". Arguments")[0].strip() if found else ""


@pytest.mark.once
@pytest.mark.parametrize("paused", ["slow", Pause.EVERYTHING])
def test_page_names_the_first_in_the_order_of_a_limit_of_one_and_what_keeps_it(admin_client, paused):
    now = timezone.now()
    order = {"name": "tests:log_in", "in_order_of": 'portal ["x"]'}
    waits = {"due_time": FAR, "waits_for": 'portal ["x"]', **order}
    first = record(State.PENDING, waiting_since=now - timedelta(minutes=9), queue="slow", **order)
    record(State.PENDING, waiting_since=now - timedelta(minutes=5), **waits)
    function = record(State.PENDING, waiting_since=now, **waits)
    assert "which no executor serves" in the_first_of_them(admin_client, function)

    put_living_executor_on_record()
    named = f"tests:log_in #{first.pk} pending in the queue slow"
    assert the_first_of_them(admin_client, function) == named
    assert f'href="{reverse(DETAIL, args=[first.pk])}"' in page(admin_client, DETAIL, function.pk)

    ScheduledFunction.objects.filter(pk=first.pk).update(unknown_since=now)
    said = the_first_of_them(admin_client, function)
    assert said == f"{named}: executors do not know its function, or refuse its arguments"

    pausing.pause("default", paused)
    assert the_first_of_them(admin_client, function) == f"{named}, which is paused"
    assert the_first_of_them(admin_client, first) == ""


def test_page_says_for_what_other_limit_the_first_in_the_order_waits(admin_client):
    now = timezone.now()
    order = {"name": "tests:log_in", "in_order_of": 'portal ["x"]', "due_time": FAR}
    first = record(State.PENDING, waiting_since=now - timedelta(minutes=9), waits_for="bank rate [7]", **order)
    function = record(State.PENDING, waiting_since=now, waits_for='portal ["x"]', **order)
    put_living_executor_on_record()

    named = f"tests:log_in #{first.pk} pending in the queue default"
    waits_for = "it waits for a slot of bank (rate limit), account_id 7"
    assert the_first_of_them(admin_client, function) == f"{named}: {waits_for}"

    ScheduledFunction.objects.filter(pk=first.pk).update(waits_for='portal ["x"]')
    assert the_first_of_them(admin_client, function) == named


@pytest.mark.once
def test_first_of_a_limit_that_keeps_no_order_is_not_named(admin_client):
    waiting(timedelta(minutes=5))
    assert the_first_of_them(admin_client, waiting()) == ""


def test_what_has_been_let_in_is_simply_pending(admin_client):
    now = timezone.now()
    function = record(State.PENDING, waits_for=BANK, waiting_since=now, due_time=now)

    assert "Why it waits" not in page(admin_client, DETAIL, function.pk)
    assert "waits for a slot" not in page(admin_client, LIST)
    assert ids_on(page(admin_client, LIST, state="limited")) == []


@pytest.mark.once
def test_no_page_shows_when_it_is_due_on_record(admin_client):
    function = waiting(timedelta(minutes=20), attempts=1)

    asked = admin_client.post(reverse(ACT), {"action": "reschedule", "id": function.pk}).content.decode()
    pages = [asked, page(admin_client, OVERVIEW), page(admin_client, LIMITS)]
    pages += [page(admin_client, LIST, state=state) for state in ("", "pending", "limited")]

    assert [text for text in pages if "9000-" in text] == []
    assert f"{timezone.localtime(function.waiting_since):%Y-%m-%dT%H:%M}" in asked
    assert all("20 min ago" in text for text in pages[3:])


def test_what_a_page_says_is_bounded(admin_client, monkeypatch, count_queries):
    monkeypatch.setattr(limits, "COUNTED_TO", 3)
    for minutes in range(10):
        waiting(timedelta(minutes=minutes))
    function = waiting()
    for number in range(8):
        holding(number)

    with count_queries() as queries:
        text = page(admin_client, DETAIL, function.pk)

    assert "More than 3 come before it" in words_of(text)
    assert "and 3 more" in text
    assert len(queries.statements) <= 15, queries.statements
    assert "3+" in words_of(page(admin_client, LIMITS))


@pytest.mark.once
@override_settings(ROOT_URLCONF="tests.admin.narrowed")
def test_who_sees_only_some_functions_is_told_nothing_of_others(admin_client):
    slot = holding(0)
    function = waiting(queue="ours")

    text = page(admin_client, DETAIL, function.pk)

    assert "Waits for a slot of bank, account_id 7" in words_of(text)
    assert f"#{slot.function_id}" not in text
    assert "running" not in words_of(text)
    assert admin_client.get(reverse(LIMITS)).status_code == 403


@pytest.mark.once
def test_secret_among_the_values_of_a_limit_is_masked(admin_client):
    function = waiting(limit='portal ["tr0ub4dor"]')
    holding(0, limit='portal ["tr0ub4dor"]')
    waiting(limit='gone ["hunter2"]')

    for text in (page(admin_client, DETAIL, function.pk), page(admin_client, LIST), page(admin_client, LIMITS)):
        assert "tr0ub4dor" not in text
        assert "hunter2" not in text
        assert "portal, token" in words_of(text)
    assert ids_on(page(admin_client, LIST, limit='portal ["tr0ub4dor"]')) == []
    assert admin_client.get(reverse(LIMITS), {"limit": 'portal ["tr0ub4dor"]'}).status_code == 403


# Rate limits

RATE = "bank rate [7]"


def waiting_for_rate(since: timedelta = timedelta(0), **values: Any) -> ScheduledFunction:
    """A function that has been waiting for so long until it may begin."""
    function = waiting(since, **{"limit": RATE, **values})
    ScheduledFunction.objects.filter(pk=function.pk).update(name="tests:ask_rates")
    return function


def test_page_of_a_function_says_when_the_next_one_may_begin(admin_client):
    put_starts_on_record(RATE, *[2] * 9, 4, 11)
    waiting_for_rate(timedelta(minutes=3))
    function = waiting_for_rate()

    text = page(admin_client, DETAIL, function.pk)

    said = words_of(text)
    assert "Waits for a slot of bank (rate limit), account_id 7" in said
    found = re.search(r"10 of 10 started within the last 10 s, the next slot is free in (\d\.\d\d) s", said)
    assert found is not None, said
    assert 0 < float(found[1]) <= 6.1
    assert "1 comes before it" in said


@internal_mutation(rate_limit=RateLimit(1, per=timedelta(hours=1), name="calls"))
def ring(ctx: Context) -> None: ...


@pytest.mark.django_db(transaction=True)
def test_page_says_why_a_function_waits_that_an_executor_has_met(admin_client):
    first, second = (ctx.scheduler.run_after(0, ring) for _ in range(2))
    waits = ScheduledFunction.objects.filter(pk=second, due_time=FAR)
    with executing():
        wait_until(waits.exists, "The second one waits.")
        wait_until(ScheduledFunction.objects.filter(pk=first, state=State.SUCCESS).exists, "The first one has run.")

        said = words_of(page(admin_client, DETAIL, second))

    assert "Waits for a slot of calls (rate limit)" in said
    assert re.search(r"1 of 1 started within the last hour, the next slot is free in (59 min|1 h)\. 0 come", said), said
    assert "calls (rate limit) 1 of 1 started within the last hour" in words_of(page(admin_client, LIMITS))


@pytest.mark.once
def test_page_of_a_function_says_when_a_slot_is_free_already(admin_client):
    put_starts_on_record(RATE, *[2] * 9, 11)
    said = words_of(page(admin_client, DETAIL, waiting_for_rate().pk))
    assert "9 of 10 started within the last 10 s." in said
    assert "next slot" not in said


@pytest.mark.once
def test_slot_is_free_once_as_few_are_in_use_as_have_been_allowed_since(admin_client):
    put_starts_on_record(RATE, 1, 2, 3, 8)
    changing.change("default", "bank rate", 3)
    said = words_of(page(admin_client, LIMITS, limit=RATE))
    found = re.search(r"4 started within the last 10 s, 3 allowed, the next slot is free in (\d\.\d\d) s", said)
    assert found is not None, said
    assert float(found[1]) > 5

    changing.change("default", "bank rate", 0)
    said = words_of(page(admin_client, LIMITS, limit=RATE))
    assert "4 started within the last 10 s, 0 allowed" in said
    assert "next slot" not in said
    assert "so nothing of it begins" in page(admin_client, DETAIL, waiting_for_rate().pk)


@pytest.mark.once
def test_limit_and_rate_limit_of_one_name_are_told_apart(admin_client):
    holding(0)
    put_starts_on_record(RATE, 1, 2)
    one, other = waiting(timedelta(minutes=5)), waiting_for_rate(timedelta(minutes=9))

    said = words_of(page(admin_client, LIMITS))

    assert "bank account_id 2 at once 2" in said
    assert "bank (rate limit) account_id 10 per 10 s 10" in said
    assert "visits (rate limit) token 100 per hour 100" in said
    assert "bank, account_id 7 1 of 2 running" in said
    assert "bank (rate limit), account_id 7 2 of 10 started within the last 10 s 1 9 min" in said
    assert ids_on(page(admin_client, LIST, limit=BANK)) == [one.pk]
    assert ids_on(page(admin_client, LIST, limit=RATE)) == [other.pk]
    assert "waits for a slot of <bdi>bank (rate limit), account_id 7</bdi>" in page(admin_client, LIST, limit=RATE)
    assert "running" not in words_of(page(admin_client, LIMITS, limit=RATE))
    assert "started" not in words_of(page(admin_client, LIMITS, limit=BANK))


def test_limits_of_both_kinds_come_page_by_page(admin_client, monkeypatch):
    monkeypatch.setattr(limits, "PAGE_LINES", 2)
    for account in range(3):
        put_starts_on_record(f"bank rate [{account}]", 1, 2)
        Slot.objects.create(limit=f"bank [{account}]", number=0)

    pages = accounts_page_by_page(admin_client)

    assert sorted(account for accounts in pages for account in accounts) == [0, 0, 1, 1, 2, 2]


@pytest.mark.once
def test_secret_among_the_values_of_a_rate_limit_is_masked(admin_client):
    function = waiting_for_rate(limit='visits rate ["tr0ub4dor"]')
    put_starts_on_record('visits rate ["tr0ub4dor"]', 1)
    put_starts_on_record('gone rate ["hunter2"]', 1)

    for text in (page(admin_client, DETAIL, function.pk), page(admin_client, LIST), page(admin_client, LIMITS)):
        assert "tr0ub4dor" not in text
        assert "hunter2" not in text
        assert "visits (rate limit), token" in words_of(text)
    assert ids_on(page(admin_client, LIST, limit='visits rate ["tr0ub4dor"]')) == []
    assert admin_client.get(reverse(LIMITS), {"limit": 'visits rate ["tr0ub4dor"]'}).status_code == 403


@pytest.mark.once
def test_rate_limit_that_the_code_no_longer_declares(admin_client):
    put_starts_on_record("former rate", 1)
    function = waiting_for_rate(limit="former rate")

    for text in (page(admin_client, LIMITS), page(admin_client, DETAIL, function.pk)):
        assert "former (rate limit)" in words_of(text)
        assert "The code does not declare it any more" in text


@pytest.mark.once
def test_rate_limit_is_changed_and_reset_and_the_limit_of_that_name_is_left_alone(admin_client):
    post(admin_client, CHANGE, name="bank", confirmed="1", number="5", reason="It is new")
    assert "The code says 10 per 10 s." in post(admin_client, CHANGE, name="bank rate").content.decode()

    post(admin_client, CHANGE, name="bank rate", confirmed="1", number="1001", reason="The bank allows it")

    said = words_of(page(admin_client, LIMITS))
    assert "by admin: It is new account_id 5 at once 2" in said
    assert "by admin: The bank allows it account_id 1,001 per 10 s 10" in said
    entry = LogEntry.objects.latest("pk")
    assert (entry.object_id, entry.change_message) == ("bank rate", "Per 10 s: 1001: The bank allows it")

    asked = post(admin_client, CHANGE, name="bank rate").content.decode()
    assert "It was set to 1,001 per 10 s" in words_of(asked)
    response = post(admin_client, CHANGE, name="bank rate", do="reset", confirmed="1", reason="x")

    assert messages_of(response) == ["What the code says is the limit again."]
    assert Limit.objects.values_list("name", "number", "reason").get() == ("bank", 5, "It is new")


@pytest.mark.once
@pytest.mark.parametrize("number", ["-1", "10001", ""])
def test_change_of_a_rate_limit_takes_a_number_that_can_be(admin_client, number):
    response = post(admin_client, CHANGE, name="bank rate", confirmed="1", number=number, reason="x")
    assert response.context["form"].errors
    assert not Limit.objects.exists()


@pytest.mark.once
def test_rate_limit_that_is_set_to_0_is_a_warning(admin_client):
    post(admin_client, CHANGE, name="bank rate", confirmed="1", number="0", reason="The bank is closed")
    assert "The rate limit “bank” is set to 0 (admin: The bank is closed)" in page(admin_client, OVERVIEW)


@pytest.mark.once
@pytest.mark.parametrize(
    ("period", "in_words", "when"),
    [
        (timedelta(seconds=1), "per second", "within the last second"),
        (timedelta(minutes=1), "per minute", "within the last minute"),
        (timedelta(hours=1), "per hour", "within the last hour"),
        (timedelta(days=1), "per day", "within the last day"),
        (timedelta(seconds=90), "per 90 s", "within the last 90 s"),
        (timedelta(minutes=10), "per 10 min", "within the last 10 min"),
        (timedelta(days=7), "per 7 d", "within the last 7 d"),
        (timedelta(milliseconds=250), "per 0.25 s", "within the last 0.25 s"),
        (timedelta(seconds=1.5), "per 1.5 s", "within the last 1.5 s"),
    ],
)
def test_period_in_words(period, in_words, when):
    assert (times.per(period), times.within_the_last(period)) == (in_words, when)


# The list


def test_what_waits_for_a_limit_is_counted_above_the_list(admin_client, monkeypatch):
    for _ in range(3):
        waiting()
    record(State.PENDING)
    assert "pending 4 overdue waits for a limit 3 in progress 0" in words_of(page(admin_client, LIST))

    monkeypatch.setattr("django_scheduler.admin.scheduled_function.STATE_COUNTED_TO", 2)
    assert "waits for a limit 2+" in words_of(page(admin_client, LIST))


def test_list_of_what_waits_for_a_limit(admin_client):
    one, other = waiting(timedelta(minutes=5)), waiting(timedelta(minutes=9), limit="bank [8]", queue="email")
    record(State.PENDING)
    record(State.PENDING, waits_for=BANK, waiting_since=timezone.now())

    assert ids_on(page(admin_client, LIST, state="limited")) == [one.pk, other.pk]
    assert ids_on(page(admin_client, LIST, state="limited", queue="email")) == [other.pk]
    assert ids_on(page(admin_client, LIST, state="limited", function="tests:write")) == []
    assert ids_on(page(admin_client, LIST, state="limited", q=str(one.pk))) == [one.pk]
    assert "waits for a slot of <bdi>bank, account_id 8</bdi>" in page(admin_client, LIST, state="limited")


def test_list_of_one_limit_has_the_order_in_which_functions_are_let_in(admin_client, monkeypatch):
    ids = [waiting(timedelta(minutes=minutes)).pk for minutes in (1, 9, 5)]
    waiting(limit="bank [8]")
    monkeypatch.setattr("django_scheduler.admin.scheduled_function.ScheduledFunctionAdmin.list_per_page", 2)

    response = admin_client.get(reverse(LIST), {"limit": BANK})
    following = admin_client.get(reverse(LIST), {"limit": BANK, "after": str(response.context["page"].after)})

    assert ids_on(response.content.decode()) == [ids[1], ids[2]]
    assert ids_on(following.content.decode()) == [ids[0]]
    assert ids_on(page(admin_client, LIST, limit=BANK, state="failed")) == []
    assert "bank, account_id 7" in page(admin_client, LIST, limit=BANK)


def test_all_that_wait_for_a_limit_are_canceled(admin_client):
    function, other = waiting(), waiting(limit="bank [8]")

    assert messages_of(act(admin_client, "cancel", all="1", query="limit=bank+%5B7%5D", last=other.pk)) == [
        "1 canceled"
    ]

    states = dict(ScheduledFunction.objects.values_list("pk", "state"))
    assert states == {function.pk: State.CANCELED, other.pk: State.PENDING}


@pytest.mark.parametrize("forward", [True, False])
def test_pages_of_what_waits_for_limits(admin_client, monkeypatch, forward):
    ids = [waiting(timedelta(minutes=number), queue=f"queue {number % 2}").pk for number in range(5)]
    monkeypatch.setattr("django_scheduler.admin.scheduled_function.ScheduledFunctionAdmin.list_per_page", 2)
    found, position = [], ""
    while True:
        response = admin_client.get(reverse(LIST), {"state": "limited", "after": position})
        found += ids_on(response.content.decode())
        if response.context["page"].after is None:
            break
        position = str(response.context["page"].after)
    assert found == ids
    assert listing.FIRST_DUE.read(position) is not None


# The overview


@pytest.mark.once
def test_overview_counts_what_waits_for_a_limit_and_leads_to_limits(admin_client):
    for _ in range(2):
        waiting()

    text = page(admin_client, OVERVIEW)

    assert "2 wait for a limit." in text
    assert reverse(LIMITS) in text


def test_counting_what_waits_for_a_limit_is_bounded(monkeypatch):
    for _ in range(5):
        waiting()
    assert browsing.count_waits(database_for("default"), at_most=3).limited == 3


@pytest.mark.once
def test_next_attempt_is_none_that_waits_for_a_limit(admin_client):
    waiting(attempts=1)
    assert "for another attempt" not in page(admin_client, OVERVIEW)


# The page of limits


def test_page_of_limits_says_what_runs_and_what_waits(admin_client):
    slot = holding(0)
    waiting(timedelta(minutes=9))
    waiting(timedelta(minutes=2))
    Slot.objects.create(limit="tests:sort_letters", number=0)

    text = page(admin_client, LIMITS)

    said = words_of(text)
    assert "bank account_id 2 at once 2" in said
    assert "bank, account_id 7 1 of 2 running" in said
    assert f"#{slot.function_id}" in text
    assert "2 9 min" in said
    assert "tests:sort_letters 0 of 3 running" in said


@pytest.mark.parametrize(
    ("state", "failure", "is_there", "is_held"),
    [
        (State.CANCELED, "", True, True),
        (State.CANCELED, "", False, False),
        (State.FAILED, Failure.TIMEOUT, True, True),
        (State.FAILED, Failure.LOST, True, True),
        (State.FAILED, Failure.ERROR, True, False),
        (State.SUCCESS, "", True, False),
    ],
)
def test_body_that_may_go_on_holds_its_slot(admin_client, state, failure, is_there, is_held):
    if is_there:
        put_living_executor_on_record()
    holding(0, state=state, failure=failure)

    text = page(admin_client, LIMITS)

    assert f"{int(is_held)} of 2 running" in words_of(text)
    assert ("may be running still" in text) == is_held


def test_slot_of_an_earlier_attempt_is_free(admin_client):
    slot = holding(0)
    ScheduledFunction.objects.update(attempts=2)

    assert "0 of 2 running" in words_of(page(admin_client, LIMITS))
    assert slot.attempt == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.only_on("postgresql", "mysql")
def test_slots_that_executing_mutations_hold_are_counted_and_not_locked(admin_client):
    database = database_for("default")
    slot = Slot.objects.create(limit="tests:sort_letters", number=0)
    Slot.objects.create(limit="tests:sort_letters", number=1)

    def lock_the_other_one() -> int:
        with transaction.atomic():
            return len(database.locking(Slot.objects.filter(number=1), skip_locked=True))

    def hold() -> str:
        with transaction.atomic(), connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SELECT set_config('application_name', 'django_scheduler executing', true)")
            assert database.locking(Slot.objects.filter(pk=slot.pk)).get() == slot
            return elsewhere(lambda: page(admin_client, LIMITS))

    assert "1 of 3 running (1 held by an executing mutation)" in words_of(hold())
    assert "0 of 3 running" in words_of(page(admin_client, LIMITS))
    assert elsewhere(lock_the_other_one) == 1


@pytest.mark.only_on("sqlite")
def test_sqlite_does_not_tell_which_slots_mutations_hold(admin_client):
    function = waiting()
    texts = page(admin_client, LIMITS), page(admin_client, DETAIL, function.pk)
    assert all("this database does not tell here" not in text for text in texts)  # only actions have that limit

    Slot.objects.create(limit="tests:sort_letters", number=0)
    function = waiting(limit="tests:sort_letters")
    texts = page(admin_client, LIMITS), page(admin_client, DETAIL, function.pk)
    assert all("this database does not tell here" in text for text in texts)


def accounts_page_by_page(client: Client) -> list[list[int]]:
    """The accounts whose limits are on each page of limits."""
    pages, address = [], ""
    while True:
        response = client.get(reverse(LIMITS) + address)
        pages.append([int(line.limit.text.split()[-1]) for line in response.context["limits"].value.lines])
        following = re.search(r'href="([^"]*)" rel="next"', response.content.decode())
        if following is None:
            return pages
        address = unescape(following[1])


@pytest.mark.parametrize("looked_at", [2, 200])
def test_limits_that_functions_wait_for_come_first_page_by_page(admin_client, monkeypatch, looked_at):
    monkeypatch.setattr(limits, "PAGE_LINES", 2)
    monkeypatch.setattr(limits, "LOOKED_AT", looked_at)
    for account in range(9):
        Slot.objects.create(limit=f"bank [{account}]", number=0)
    for account in (3, 5, 8):
        waiting(limit=f"bank [{account}]")

    pages = accounts_page_by_page(admin_client)

    assert [account for accounts in pages for account in accounts] == [3, 5, 8, 0, 1, 2, 4, 6, 7]
    assert max(map(len, pages)) == 2


def test_page_that_ends_with_the_last_limit_that_is_waited_for_leads_to_the_others(admin_client, monkeypatch):
    monkeypatch.setattr(limits, "PAGE_LINES", 2)
    for account in (3, 5):
        waiting(limit=f"bank [{account}]")
    Slot.objects.create(limit="bank [1]", number=0)

    assert accounts_page_by_page(admin_client) == [[3, 5], [1]]


def test_of_limits_that_nothing_waits_for_those_whose_slots_are_held_come_first(admin_client):
    Slot.objects.create(limit="bank [1]", number=0)
    holding(0, limit="bank [2]")
    waiting(limit="bank [3]")

    assert accounts_page_by_page(admin_client) == [[3, 2, 1]]


@pytest.mark.once
def test_more_run_than_a_limit_says_by_now(admin_client):
    for number in range(2):
        holding(number)
    function = waiting()
    changing.change("default", "bank", 0)

    for text in (page(admin_client, LIMITS), page(admin_client, DETAIL, function.pk)):
        assert "2 running, 0 allowed" in words_of(text)
    changing.change("default", "bank", 3)
    assert "2 of 3 running" in words_of(page(admin_client, LIMITS))


@pytest.mark.once
def test_one_limit_alone(admin_client):
    for number in range(7):
        holding(number)
    waiting(limit="bank [8]")

    text = page(admin_client, LIMITS, limit=BANK)

    assert text.count("/scheduledfunction/") >= 7
    assert "and 2 more" not in text
    assert "account_id 8" not in text


@pytest.mark.parametrize("address", [{"limit": "a\0b"}, {"after": "x" * 500}, {"after": "\0"}, {"limit": "none"}])
def test_address_of_limits_that_makes_no_sense(admin_client, address):
    assert admin_client.get(reverse(LIMITS), address).status_code == 200


def test_page_of_limits_takes_few_queries_however_many_limits(admin_client, count_queries):
    for number in range(limits.PAGE_LINES + 1):
        waiting(limit=f"bank [{number}]")
        holding(0, limit=f"bank [{number}]")
    with count_queries() as queries:
        page(admin_client, LIMITS)
    assert len(queries.statements) <= 12, queries.statements


def test_page_of_rate_limits_takes_few_queries_however_many_limits(admin_client, count_queries):
    for number in range(limits.PAGE_LINES + 1):
        waiting_for_rate(limit=f"bank rate [{number}]")
        put_starts_on_record(f"bank rate [{number}]", 1, 2)
    with count_queries() as queries:
        page(admin_client, LIMITS)
    assert len(queries.statements) <= 12, queries.statements


# Changing a limit


def post(client, url_name: str, **values: Any) -> Any:
    return client.post(reverse(url_name), values, follow=True)


@pytest.mark.once
def test_limit_is_changed_with_a_reason(admin_client, admin_user):
    asked = post(admin_client, CHANGE, name="bank").content.decode()
    assert "The code says 2 at once." in asked
    assert not Limit.objects.exists()

    response = post(admin_client, CHANGE, name="bank", confirmed="1", number="5", reason="The bank allows it")

    assert messages_of(response)[0].startswith("Changed.")
    limit = Limit.objects.get()
    assert (limit.name, limit.number, limit.changed_by) == ("bank", 5, "admin")
    said = words_of(page(admin_client, LIMITS))
    assert "by admin: The bank allows it" in said
    assert "account_id 5 at once 2" in said
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.change_message, entry.user_id) == (
        "bank", "At once: 5: The bank allows it", admin_user.pk,
    )  # fmt: skip


@pytest.mark.once
def test_change_takes_a_reason_and_a_number_that_can_be(admin_client):
    for values in ({"number": "5"}, {"number": "-1", "reason": "x"}, {"number": "1001", "reason": "x"}):
        assert post(admin_client, CHANGE, name="bank", confirmed="1", **values).context["form"].errors
    assert not Limit.objects.exists()


@pytest.mark.once
def test_limit_that_is_set_to_0_is_a_warning_everywhere(admin_client):
    function = waiting()
    post(admin_client, CHANGE, name="bank", confirmed="1", number="0", reason="The bank is closed")

    assert "The limit “bank” is set to 0 (admin: The bank is closed)" in page(admin_client, OVERVIEW)
    assert "so nothing of it begins" in page(admin_client, DETAIL, function.pk)


@pytest.mark.once
def test_what_the_code_says_is_the_limit_again(admin_client):
    post(admin_client, CHANGE, name="bank", confirmed="1", number="5", reason="x")

    assert post(admin_client, CHANGE, name="bank", do="reset", confirmed="1").context["form"].errors
    assert Limit.objects.exists()
    reset = {"name": "bank", "do": "reset", "confirmed": "1", "reason": "The bank is slow"}
    response = post(admin_client, CHANGE, **reset)

    assert messages_of(response) == ["What the code says is the limit again."]
    assert not Limit.objects.exists()
    assert messages_of(post(admin_client, CHANGE, **reset)) == ["It was as the code says already."]
    assert LogEntry.objects.filter(change_message="At once: As the code says: The bank is slow").count() == 1


@pytest.mark.once
def test_limit_that_the_code_no_longer_declares_can_be_reset(admin_client):
    changing.change("default", "former", 5)

    assert "former" in page(admin_client, LIMITS)
    assert "does not declare it any more" in post(admin_client, CHANGE, name="former").content.decode()
    post(admin_client, CHANGE, name="former", do="reset", confirmed="1", reason="x")
    assert "former" not in page(admin_client, LIMITS)


@pytest.mark.parametrize("name", ["", "none", "a\0b", "x" * 300])
def test_name_that_is_no_limit(admin_client, name):
    response = post(admin_client, CHANGE, name=name, confirmed="1", number="5", reason="x")
    assert messages_of(response) == ["There is no such limit."]


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "number", "error"),
    [("", 1, ValueError), (" rate", 1, ValueError), ("a b", 1, ValueError), ("bank [7]", 1, ValueError),
     ("bank rate [7]", 1, ValueError), ("x" * 256, 1, ValueError), ("a\0", 1, ValueError), (7, 1, TypeError),
     ("a", -1, ValueError), ("a", 1_001, ValueError), ("a", True, ValueError),
     ("a rate", -1, ValueError), ("a rate", 10_001, ValueError), ("a rate", True, ValueError)],
)  # fmt: skip
def test_code_sets_no_limit_that_cannot_be(name, number, error):
    with pytest.raises(error):
        changing.change("default", name, number)
    assert not Limit.objects.exists()


def test_code_sets_a_limit_and_a_rate_limit_of_one_name_and_takes_back_one_of_them():
    longest = "x" * 255
    changing.change("default", longest, 1_000, reason="It is new", changed_by="ada")
    changing.change("default", f"{longest} rate", 10_000, reason="The bank allows it", changed_by="ben")
    changing.change("default", longest, 3, reason="It is slow", changed_by="eve")
    assert list(Limit.objects.order_by("number").values_list("name", "number", "reason", "changed_by")) == [
        (longest, 3, "It is slow", "eve"), (f"{longest} rate", 10_000, "The bank allows it", "ben"),
    ]  # fmt: skip

    assert changing.reset("default", longest)
    assert not changing.reset("default", longest)
    assert Limit.objects.values_list("name", "number").get() == (f"{longest} rate", 10_000)


@pytest.mark.once
def test_code_is_told_if_nobody_declares_the_kind_of_limit_that_it_sets(caplog):
    changing.change("default", "visits", 5)
    assert "The limit 'visits' is set, but no function declares it. Did you mean 'visits rate'?" in caplog.text
    caplog.clear()
    changing.change("default", "portal rate", 5)
    assert "The limit 'portal rate' is set, but no function declares it." in caplog.text
    caplog.clear()
    changing.change("default", "bank", 5)
    changing.change("default", "bank rate", 5)
    assert caplog.text == ""


# Releasing a slot


def address_of(slot: Slot) -> dict[str, Any]:
    return {"slot": slot.pk, "function": slot.function_id, "attempt": slot.attempt}


def test_slot_is_released_with_a_reason(admin_client, admin_user, caplog):
    slot = holding(0)
    asked = post(admin_client, RELEASE, **address_of(slot)).content.decode()
    assert "more bodies than the limit says may run at once" in asked
    assert post(admin_client, RELEASE, **address_of(slot), confirmed="1").context["form"].errors

    response = post(admin_client, RELEASE, **address_of(slot), confirmed="1", reason="It hangs")

    assert messages_of(response) == ["Released. Another function of the limit may begin."]
    function_id = slot.function_id
    slot.refresh_from_db()
    assert (slot.function_id, slot.executor) == (None, "")
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user_id) == (str(function_id), admin_user.pk)
    assert entry.change_message == "Slot of the limit bank, account_id 7 released: It hangs"
    assert f"A slot of the limit bank was taken from the function {function_id} by admin: It hangs" in caplog.text


def test_slot_that_another_function_has_taken_meanwhile_is_not_released(admin_client):
    slot = holding(0)
    address = address_of(slot)
    Slot.objects.update(function=record(State.IN_PROGRESS))

    response = post(admin_client, RELEASE, **address, confirmed="1", reason="It hangs")

    assert messages_of(response) == ["The function does not hold the slot any more."]
    assert Slot.objects.get().function_id is not None
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("values", [{}, {"slot": "x", "function": "1", "attempt": "1"}, {"slot": "9" * 30}])
def test_slot_that_is_none(admin_client, values):
    response = post(admin_client, RELEASE, **values, confirmed="1", reason="It hangs")
    assert messages_of(response) == ["The function does not hold the slot any more."]


# Who may


@pytest.mark.once
@pytest.mark.parametrize(
    ("url_name", "permission", "values"),
    [
        (CHANGE, "change_limit", {"name": "bank", "confirmed": "1", "number": "5", "reason": "x"}),
        (RELEASE, "release_slot", {"confirmed": "1", "reason": "x"}),
    ],
)
def test_each_needs_a_permission_of_its_own(url_name, permission, values):
    others = {"change_limit", "release_slot", "pause_queue", "cancel_scheduledfunction"} - {permission}
    client = client_with("view_scheduledfunction", *others)
    assert post(client, url_name, **values).status_code == 403
    assert post(client_with(permission), url_name, **values).status_code == 403
    client = client_with("view_scheduledfunction", permission)
    assert post(client, url_name, **values).status_code == 200
    assert client.get(reverse(url_name), follow=True).redirect_chain[0][0] == reverse(LIMITS)
    assert client.put(reverse(url_name)).status_code == 405


@pytest.mark.once
def test_what_somebody_may_not_do_is_not_offered():
    holding(0)
    text = page(client_with("view_scheduledfunction"), LIMITS)
    assert "Release…" not in text
    assert "Change…" not in text
    text = page(client_with("view_scheduledfunction", "change_limit", "release_slot"), LIMITS)
    assert "Release…" in text
    assert "Change…" in text


@pytest.mark.once
def test_form_of_another_site_changes_nothing(admin_user):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    values = {"name": "bank", "confirmed": "1", "number": "5", "reason": "x"}
    assert client.post(reverse(CHANGE), values).status_code == 403
    assert not Limit.objects.exists()


# For the queries


def test_many_that_wait_are_counted_no_further_than_needed():
    for _ in range(5):
        waiting()
    found = limit_browsing.count_waiting(database_for("default"), [BANK, "bank [8]"], count_to=3)
    assert {limit: count.number for limit, count in found.items()} == {BANK: 3}


def test_holder_that_is_no_longer_on_record_holds_nothing(admin_client):
    holding(0)
    ScheduledFunction.objects.all().delete()
    assert "0 of 2 running" in words_of(page(admin_client, LIMITS))
    assert not Executor.objects.exists()
