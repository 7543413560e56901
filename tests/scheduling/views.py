"""Views that schedule, called through Django's own request handling."""

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from django_scheduler import ctx
from tests.functions import note_async, write
from tests.models import Entry


def service(label: str) -> int:
    """Uses the imported ctx, and knows nothing of requests."""
    Entry.objects.create(label=f"{label} by the service")
    return ctx.scheduler.run_after(0, write, label=label)


def fail_if_asked(request: HttpRequest) -> None:
    if "fail" in request.GET:
        raise ZeroDivisionError


def schedule(request: HttpRequest) -> HttpResponse:
    function_id = service("a")
    fail_if_asked(request)
    return JsonResponse({"id": function_id, "function_id": ctx.function_id})


def greet_and_schedule(request: HttpRequest) -> HttpResponse:
    user = str(request.user)
    service("a")
    return HttpResponse(f"Hello {user}")


@transaction.non_atomic_requests
def schedule_in_a_block(request: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        function_id = service("a")
        fail_if_asked(request)
    return JsonResponse({"id": function_id})


def run_mutation(request: HttpRequest) -> HttpResponse:
    entry_id = ctx.run_mutation(write, label="a")
    fail_if_asked(request)
    return JsonResponse({"id": entry_id})


@transaction.non_atomic_requests
async def schedule_async(request: HttpRequest) -> HttpResponse:
    function_id = await ctx.scheduler.arun_after(0, write, label="a")
    result = await ctx.arun_action(note_async, label="now")
    entry_id = await ctx.arun_mutation(write, label="also now")
    fail_if_asked(request)
    return JsonResponse({"id": function_id, "result": result, "entry_id": entry_id})


@transaction.non_atomic_requests
async def schedule_in_the_wrong_way(request: HttpRequest) -> HttpResponse:
    ctx.scheduler.run_after(0, write, label="a")
    return HttpResponse()


urlpatterns = [
    path("schedule/", schedule),
    path("greet-and-schedule/", greet_and_schedule),
    path("schedule-in-a-block/", schedule_in_a_block),
    path("run-mutation/", run_mutation),
    path("schedule-async/", schedule_async),
    path("schedule-in-the-wrong-way/", schedule_in_the_wrong_way),
]
