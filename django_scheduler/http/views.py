"""``POST mutation/`` and ``POST action/``: ``{"path": "orders:create_order", "args": {...}}``.

Answers are those of Convex's HTTP API: what a function did or raised is 200, with ``status`` ``"success"`` or
``"error"``. A request that has not reached a function is 4xx, in the same form.
"""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from django_scheduler.http import call
from django_scheduler.http.call import load_user, require_csrf_token, require_permission
from django_scheduler.http.request import Refusal, parse
from django_scheduler.models import Kind


@csrf_exempt  # require_csrf_token asks for it, and answers in JSON
@transaction.non_atomic_requests  # a mutation has its own transaction, which is repeated when it conflicts
def run_mutation(request: HttpRequest) -> HttpResponse:
    """Run a public mutation now."""
    return _run(request, Kind.MUTATION)


@csrf_exempt
@transaction.non_atomic_requests
def run_action(request: HttpRequest) -> HttpResponse:
    """Run a public action now."""
    return _run(request, Kind.ACTION)


def _run(request: HttpRequest, kind: Kind) -> HttpResponse:
    try:
        if request.method != "POST":
            raise Refusal(405, "Functions are called by POST.")
        require_csrf_token(request)
        wanted = parse(request)
        function = call.find(wanted.path, kind)
        load_user(request)
        require_permission(request, function)
        call.bind(function, wanted)
    except Refusal as refusal:
        response = refusal.answer()
        if refusal.status == 405:
            response["Allow"] = "POST"
        return response
    return call.run(function, wanted, request)
