"""Batches and callbacks: the overview, a page and the list show them, and what follows an end is linked with it."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.models import Batch, ScheduledFunction, State
from tests.admin.conftest import BATCHES, DETAIL, LIST, OVERVIEW, client_with, make_batch, page, record
from tests.functions import hear, write, write_and_raise
from tests.support.in_process import execute_with_one_worker

pytestmark = pytest.mark.once


def ids_of(answer) -> list[int]:
    return [line.batch.pk for line in answer.value.lines]


@pytest.mark.django_db
def test_overview_shows_the_latest_open_batches_and_leads_to_all(admin_client):
    batches = [make_batch(total=3, succeeded=1, failed=1) for _ in range(7)]
    make_batch(total=1, succeeded=1, completed_time=timezone.now())

    response = admin_client.get(reverse(OVERVIEW))

    assert ids_of(response.context["open_batches"]) == [batch.pk for batch in reversed(batches)][:5]
    text = response.content.decode()
    assert f'href="{reverse(LIST)}?batch={batches[-1].pk}"' in text
    assert f'href="{reverse(LIST)}?state=failed&amp;batch={batches[-1].pk}"' in text
    assert "2 of 3" in text
    assert f'href="{reverse(BATCHES)}">Show all of them' in text


@pytest.mark.django_db
def test_overview_says_that_no_batch_is_open_and_leads_to_those_that_were(admin_client):
    make_batch(total=0, completed_time=timezone.now())

    text = page(admin_client, OVERVIEW)

    assert "No batch is open." in text
    assert f'href="{reverse(BATCHES)}?all=1"' in text


@pytest.mark.django_db
def test_batch_shows_who_has_made_it(admin_client):
    parent = record(name="tests:made_<it>")
    make_batch(total=1, parent_id=parent.pk, context={"user": "<b>ann</b>", "user_id": "7"})
    make_batch(total=1, parent_id=parent.pk + 1_000)

    text = page(admin_client, BATCHES)

    assert reverse(DETAIL, args=[parent.pk]) in text
    assert "made_<wbr>&lt;it&gt;" in text
    assert "&lt;b&gt;ann&lt;/b&gt;" in text
    assert "(no longer on record)" in text


@pytest.mark.django_db
def test_page_of_batches_goes_on_with_older_ones(admin_client):
    batches = [make_batch(total=1).pk for _ in range(51)]
    ended = make_batch(total=1, succeeded=1, completed_time=timezone.now()).pk

    first = admin_client.get(reverse(BATCHES))
    second = admin_client.get(reverse(BATCHES), {"before": first.context["batches"].value.before})
    everything = admin_client.get(reverse(BATCHES), {"all": "1"})

    assert ids_of(first.context["batches"]) == batches[:0:-1]
    assert ids_of(second.context["batches"]) == batches[:1]
    assert ids_of(everything.context["batches"])[:2] == [ended, batches[-1]]
    assert f"?before={batches[1]}" in first.content.decode()


@pytest.mark.django_db
def test_page_of_batches_is_empty_and_says_so(admin_client):
    assert "No batch is open." in page(admin_client, BATCHES)
    assert "No batch is on record." in page(admin_client, BATCHES, all="1", before="nonsense")


@pytest.mark.django_db
def test_batches_are_for_those_who_may_view(client):
    make_batch(total=1)

    assert client_with("view_scheduledfunction").get(reverse(BATCHES)).status_code == 200
    assert client_with("view_cron").get(reverse(BATCHES)).status_code == 403
    assert client.get(reverse(BATCHES)).status_code == 302


@pytest.mark.django_db
@pytest.mark.urls("tests.admin.narrowed")
def test_who_does_not_see_every_function_sees_batches_of_those_functions_only(admin_client):
    maker = record(name="tests:secretive", queue="theirs")
    followed = [{"on": "complete", "name": "tests:secretive"}]
    theirs, ours = (make_batch(total=1, parent_id=maker.pk, callbacks=followed) for _ in range(2))
    record(State.PENDING, queue="theirs", batch_id=theirs.pk)
    record(State.PENDING, queue="ours", batch_id=ours.pk)

    assert admin_client.get(reverse(BATCHES)).status_code == 403
    assert "ds-batch" not in page(admin_client, OVERVIEW)
    assert "0 of 1 have ended" not in page(admin_client, LIST, batch=theirs.pk)
    shown = page(admin_client, LIST, batch=ours.pk)
    assert "0 of 1 have ended" in shown
    assert "secretive" not in shown


@pytest.mark.django_db
def test_list_of_a_batch_says_how_it_stands_and_what_follows(admin_client):
    callbacks = [{"on": "complete", "name": "tests:hear"}]
    batch = make_batch(total=1_300, succeeded=1_200, failed=20, canceled=3, callbacks=callbacks)

    text = page(admin_client, LIST, batch=batch.pk)

    assert "1,223 of 1,300 have ended: 1,200 succeeded, 20 failed, 3 canceled" in text
    assert "When it ends" in text
    assert "tests:hear" in text
    assert page(admin_client, LIST, batch=batch.pk + 1)  # there is no such batch


@pytest.mark.django_db(transaction=True)
def test_callback_of_a_batch_leads_to_the_batch(admin_client):
    with ctx.scheduler.batch(on_complete=hear) as batch:
        batch.run_after(0, write, label="a")
    execute_with_one_worker()

    callback = ScheduledFunction.objects.get(name="tests:hear")
    text = page(admin_client, DETAIL, callback.pk)

    assert "Follows the end of the batch" in text
    assert f'href="{reverse(LIST)}?batch={Batch.objects.get().pk}"' in text


@pytest.mark.django_db(transaction=True)
def test_callback_of_a_function_and_the_function_lead_to_each_other(admin_client):
    function_id = ctx.scheduler.options(on_complete=hear, on_failure=hear).run_after(0, write_and_raise, label="a")
    before = page(admin_client, DETAIL, function_id)
    execute_with_one_worker()

    callbacks = ScheduledFunction.objects.filter(name="tests:hear")
    after = page(admin_client, DETAIL, function_id)
    facts = after.partition("ds-relatives")[0]

    assert [f"<bdi>tests:hear</bdi> #{pk}</a>" in facts for pk in callbacks.values_list("pk", flat=True)] == [True] * 2
    assert "<dt>When it does not succeed</dt><dd><bdi>tests:hear</bdi></dd>" in before
    for callback in callbacks:
        text = page(admin_client, DETAIL, callback.pk)
        assert "Follows the end of</dt>" in text
        assert (
            f'<a href="{reverse(DETAIL, args=[function_id])}"><bdi>tests:write_and_raise</bdi> #{function_id}' in text
        )
        assert "Scheduled by" not in text


@pytest.mark.django_db
def test_callback_whose_function_is_no_longer_on_record_says_so(admin_client):
    outcome = {"$dataclass": ["django_scheduler.record.outcomes:Outcome", {"id": 7, "name": "tests:write"}]}
    callback = record(args={"outcome": outcome}, parent_id=7)

    assert '#7 <span class="ds-quiet">(no longer on record)' in page(admin_client, DETAIL, callback.pk)


@pytest.mark.django_db
@pytest.mark.parametrize("outcome", ["7", {"id": 7}, {"$dataclass": ["shop.models:Outcome", {"id": 7}]}, None])
def test_argument_that_is_no_outcome_of_ours_is_not_followed(admin_client, outcome):
    assert "Follows the end" not in page(admin_client, DETAIL, record(args={"outcome": outcome}).pk)


@pytest.mark.django_db
def test_overview_counts_what_waits_under_a_key_and_for_another_attempt(admin_client):
    now = timezone.now()
    assert "under a key" not in page(admin_client, OVERVIEW)
    for number in range(2):
        ctx.scheduler.options(key=f"sync:{number}").run_after(timedelta(hours=1), write, label="a")
    record(State.SUCCESS, key="ended")
    later = record(State.PENDING, key="gave it up", attempts=1, due_time=now + timedelta(hours=2))
    first = record(State.PENDING, attempts=3, due_time=now + timedelta(minutes=30, seconds=30))

    text = page(admin_client, OVERVIEW)

    assert "2 wait under a key." in text
    assert "2 wait for another attempt. The next:" in text
    assert reverse(DETAIL, args=[first.pk]) in text
    assert reverse(DETAIL, args=[later.pk]) not in text


@pytest.mark.django_db
def test_overview_says_among_how_many_it_has_counted(admin_client, monkeypatch):
    monkeypatch.setattr("django_scheduler.admin.panels.WAITS_LOOKED_AT", 2)
    for number in range(3):
        ctx.scheduler.options(key=f"sync:{number}").run_after(timedelta(hours=1), write, label="a")

    text = page(admin_client, OVERVIEW)

    assert "2 wait under a key." in text
    assert "Counted among 2 that are pending." in text
