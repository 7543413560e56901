"""Requests are answered that no page of the admin makes, but that arrive."""

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.utils.translation import gettext as _

from django_scheduler.values import is_plain_text

#: How often an address may name the same parameter. SQLite takes no condition of a thousand parts.
MOST_OF_ONE = 20


def answer_to_no_post(request: HttpRequest, back: str) -> HttpResponse:
    """Lead back to a page who comes to one that only takes posts: after a new sign-in, Django leads there by GET."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["POST"])
    messages.warning(request, _("Nothing has been done, because you had to sign in anew. Choose again what to do."))
    return HttpResponseRedirect(back)


def is_understood(request: HttpRequest) -> bool:
    """Return whether a database takes what an address asks for: no NUL, and no parameter again and again."""
    lists = request.GET.lists()
    return all(len(texts) <= MOST_OF_ONE and all(map(is_plain_text, (name, *texts))) for name, texts in lists)


def require_whole_characters(request: HttpRequest) -> None:
    """Raise ``BadRequest`` if there is half of a surrogate pair in a request: no page could show it again.

    No form of a browser sends one.
    """
    for parameters in (request.GET, request.POST):
        for name, texts in parameters.lists():
            for text in (name, *texts):
                try:
                    text.encode()
                except UnicodeEncodeError:
                    raise BadRequest("There is half of a surrogate pair in the request.") from None
