"""What is refused over HTTP, and with which reason: nothing has happened then."""

import json
from io import BytesIO
from typing import Any

import pytest
from django.test import Client

from django_scheduler.http.request import _object
from tests.http.conftest import Api
from tests.http.functions import asked
from tests.models import Entry

pytestmark = pytest.mark.once

WRITE = {"path": "tests:http_write", "args": {"label": "x"}}


@pytest.fixture(autouse=True)
def _nothing_has_happened():
    yield
    assert not Entry.objects.exists()


def test_internal_function_is_answered_like_one_that_does_not_exist(api):
    answers = {
        (response.status_code, response.content, tuple(sorted(response.headers.items())))
        for kind in ["mutation", "action"]
        for args in [{}, {"label": "x"}, {"nonsense": 1}]
        for path in [
            "tests:http_internal",
            "tests:http_internal_action",
            "tests:no_such_function",
            "nowhere:http_internal",
            "internal.tests.http_internal",
            "api.tests.http_internal",
            "api.tests.http_write",
            "tests.http_internal",
            "tests.tasks.jobs.write",  # a task of Django's is no public function
            "antigravity.geohash",  # nothing is imported
            ":",
            "tests:" + "x" * 10_000,
            "\x00",
        ]
        for response in [api.post(kind, {"path": path, "args": args})]
    }

    assert [(status, json.loads(body)) for status, body, _ in answers] == [
        (404, {"status": "error", "errorMessage": "There is no public function of that name."})
    ]


def test_function_of_the_other_kind_is_told_so(api):
    assert api.action("tests:http_write", label="x") == {
        "http": 400,
        "status": "error",
        "errorMessage": "tests:http_write is no action but a mutation: post to mutation/.",
    }
    assert api.mutation("tests:http_atomic")["errorMessage"].endswith("is no mutation but an action: post to action/.")


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({}, "missing a required"),
        ({"label": "x", "third": 1}, "got an unexpected keyword argument 'third'"),
        ({"ctx": 1, "label": "x"}, "multiple values for argument 'ctx'"),
    ],
)
def test_arguments_that_do_not_fit(api, args, reason):
    answer = api.mutation("tests:http_write", **args)

    assert (answer["http"], answer["status"]) == (400, "error")
    assert answer["errorMessage"].startswith(f"tests:http_write cannot be called with these arguments: {reason}")


def test_argument_that_would_be_the_context_is_refused(api):
    answer = api.mutation("tests:http_take_anything", ctx=1)

    assert (answer["http"], answer["status"]) == (400, "error")
    assert "multiple values for argument 'ctx'" in answer["errorMessage"]


NESTED = '{"path": "tests:http_echo", "args": {"a": %s}}'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (" ", "it is not JSON"),
        ("{", "it is not JSON"),
        ("[]", "it must be a JSON object with the keys path and args"),
        ("null", "it must be a JSON object"),
        ("{}", "path must be the name of a function"),
        ('{"path": 1}', "path must be the name of a function"),
        ('{"path": ""}', "path must be the name of a function"),
        ('{"path": null, "args": {}}', "path must be the name of a function"),
        ('{"path": "tests:http_write", "args": ["x"]}', "args must be an object"),
        ('{"path": "tests:http_write", "args": null}', "args must be an object"),
        ('{"path": "tests:http_write", "args": {}, "format": "xml"}', "there is no key 'format'"),
        ('{"path": "a", "path": "tests:http_write", "args": {}}', "the key 'path' occurs twice"),
        ('{"path": "tests:http_write", "args": {"label": "x", "label": "y"}}', "the key 'label' occurs twice"),
        (NESTED % r'{"a": 1, "\u0061": 2}', "the key 'a' occurs twice"),
        ('{"%s": 1}' % ("k" * 5000), f"there is no key {'k' * 100!r}"),
        (NESTED % "NaN", "NaN is no JSON"),
        (NESTED % "-Infinity", "-Infinity is no JSON"),
        (NESTED % "1e999", "1e999 is too large a number"),
        (NESTED % ("9" * 5000), "it is not JSON: Exceeds the limit"),
        (NESTED % r'"\ud800"', "half of a surrogate pair"),
        (NESTED % ("[" * 100 + "]" * 100), "nested more than 100 levels deep"),
        (NESTED % ("[" * 100_000 + "]" * 100_000), "nested more than 100 levels deep"),
        (NESTED % ('{"a":' * 100_000 + "1" + "}" * 100_000), "nested more than 100 levels deep"),
        (b'{"path": "\xff"}', "it is not UTF-8"),
        (json.dumps(WRITE).encode("utf-16"), "it is not UTF-8"),
        (b"\xef\xbb\xbf{}", "it is not JSON"),
    ],
)
def test_malformed_request_is_refused_with_the_reason(api, body, reason):
    response = api.post("mutation", body)

    assert response.status_code == 400
    answer = response.json()
    assert answer.keys() == {"status", "errorMessage"}
    assert answer["errorMessage"].startswith("The request is malformed: ")
    assert reason in answer["errorMessage"]


def test_text_with_many_brackets_is_not_nested(api):
    assert api.mutation("tests:http_echo", text="[" * 1000)["value"] == {"text": "[" * 1000}


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp"]
)
def test_content_type_must_be_json(api, content_type):
    response = api.post("mutation", json.dumps(WRITE), content_type=content_type)

    assert response.status_code == 415
    assert response.json() == {
        "status": "error",
        "errorMessage": f"The content type must be application/json, not {content_type}.",
    }


def test_content_type_may_name_its_character_set(api):
    assert api.post("action", {"path": "tests:http_atomic"}, "Application/JSON; charset=utf-8").status_code == 200


def test_body_has_a_limit(api, settings):
    settings.DJANGO_SCHEDULER = {"HTTP_MAX_BODY_BYTES": 1000}
    assert api.post("mutation", {"path": "tests:http_echo", "args": {"a": "x" * 900}}).status_code == 200

    response = api.post("mutation", {"path": "tests:http_echo", "args": {"a": "x" * 1000}})

    assert response.status_code == 413
    assert response.json() == {"status": "error", "errorMessage": "The request is larger than 1,000 bytes."}


class UnreadBody:
    """A body that must not be read."""

    def read(self, size: int = -1) -> bytes:
        raise AssertionError("the body was read")

    readline = read


@pytest.mark.parametrize("has_session", [False, True])
@pytest.mark.parametrize(
    ("content_type", "length", "status"),
    [
        ("multipart/form-data; boundary=x", 50_000_000, 415),
        ("application/x-www-form-urlencoded", 3_000_000, 415),
        ("", 3_000_000, 415),
        ("application/json", 3_000_000, 413),
        ("application/json", 10**40, 413),
    ],
)
def test_headers_are_looked_at_before_anything_reads_the_body(user, content_type, length, status, has_session):
    client = Client(enforce_csrf_checks=True)
    if has_session:
        client.force_login(user)
    environ: Any = {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(length), "wsgi.input": UnreadBody()}

    response = client.generic("POST", "/api/mutation/", **environ)

    assert (response.status_code, response["Content-Type"]) == (status, "application/json")
    assert response.json()["status"] == "error"


@pytest.mark.parametrize("length", ["", "-1", "nonsense", "7", "1000000"])
def test_wrong_length_is_answered_in_json_and_nothing_is_read_beyond_the_limit(client, settings, length):
    settings.DJANGO_SCHEDULER = {"HTTP_MAX_BODY_BYTES": 1000}
    body = BytesIO(json.dumps(WRITE).ljust(2_000_000).encode())
    environ: Any = {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": length, "wsgi.input": body}

    response = client.generic("POST", "/api/mutation/", **environ)

    assert response.status_code in (400, 413)
    assert response.json()["status"] == "error"
    assert body.tell() <= 1001


class Key(str):
    """A name that counts how often it is compared with another one."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Key.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_looking_for_a_key_that_occurs_twice_takes_linear_time(monkeypatch):
    names = [f"name {number}" for number in range(2_000)]
    monkeypatch.setattr(Key, "compared", 0)

    with pytest.raises(ValueError, match="'name 1999' occurs twice"):
        _object([(Key(name), 1) for name in [*names, names[-1]]])

    assert Key.compared < 10 * len(names)


def test_body_of_as_many_keys_as_fit_is_refused_at_once(api):
    names = ",".join(f'"{number:x}":1' for number in range(90_000))

    response = api.post("mutation", f'{{"path":"tests:http_echo",{names},"15f8f":1}}')

    assert response.status_code == 400
    assert "the key '15f8f' occurs twice" in response.json()["errorMessage"]


def test_argument_that_does_not_fit_is_not_repeated_at_length(api):
    answer = api.mutation("tests:http_write", label="x", **{"y" * 100_000: 1})

    assert answer["http"] == 400
    assert len(answer["errorMessage"]) < 1_000


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
def test_only_post_will_do(api, method):
    response = getattr(api.client, method)("/api/mutation/")

    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert response.json() == {"status": "error", "errorMessage": "Functions are called by POST."}


def test_session_needs_a_csrf_token(user):
    api = Api(Client(enforce_csrf_checks=True))
    api.client.force_login(user)

    answer = api.mutation("tests:http_who")

    assert (answer["http"], answer["status"]) == (403, "error")
    assert "no valid CSRF token" in answer["errorMessage"]


def test_session_with_a_csrf_token_is_accepted(user):
    api = Api(Client(enforce_csrf_checks=True))
    api.client.force_login(user)
    token = "a" * 32
    api.client.cookies["csrftoken"] = token

    response = api.post("action", {"path": "tests:http_who_async"}, **{"X-CSRFToken": token})

    assert response.json() == {"status": "success", "value": "anna"}


def test_client_without_a_session_needs_no_csrf_token():
    api = Api(Client(enforce_csrf_checks=True))

    assert api.action("tests:http_atomic")["http"] == 200


@pytest.mark.parametrize("rule", ["only_staff", "only_staff_async"])
def test_rule_of_the_site_decides(api, user, settings, rule):
    settings.DJANGO_SCHEDULER = {"HTTP_PERMISSION": f"tests.http.functions.{rule}"}

    assert api.action("tests:http_atomic") == {
        "http": 403,
        "status": "error",
        "errorMessage": "This function may not be called with this request.",
    }
    api.client.force_login(user)
    assert api.action("tests:http_atomic")["http"] == 200
    assert api.mutation("tests:http_internal", label="x")["http"] == 404


NAMES = [
    "tests:http_write",
    "tests:http_echo",
    "tests:http_atomic",  # of the other kind
    "tests:http_internal",
    "tests:no_such_function",
    "nowhere:http_write",
    "nonsense",
    ":",
    "\x00",
    "tests:" + "x" * 10_000,
]


@pytest.mark.parametrize("rule", ["deny_all", "raise_error"])
def test_whom_the_rule_permits_nothing_cannot_tell_which_functions_there_are(api, settings, rule):
    settings.DJANGO_SCHEDULER = {"HTTP_PERMISSION": f"tests.http.functions.{rule}"}
    asked.clear()

    answers = {
        (response.status_code, response.content, tuple(sorted(response.headers.items())))
        for path in NAMES
        for args in [{}, {"label": "x"}, {"nonsense": 1}]
        for response in [api.post("mutation", {"path": path, "args": args})]
    }

    assert [(status, json.loads(body)) for status, body, _ in answers] == [
        (403, {"status": "error", "errorMessage": "This function may not be called with this request."})
    ]
    if rule == "deny_all":  # and so the time that it takes does not tell either
        assert asked == [(path[:255], "action" if path == "tests:http_atomic" else "mutation")
                         for path in NAMES for _ in range(3)]  # fmt: skip


def test_whom_the_rule_permits_everything_is_told_what_there_is_not(api, settings):
    settings.DJANGO_SCHEDULER = {"HTTP_PERMISSION": "tests.http.functions.permit_all"}

    statuses = {path: api.mutation(path)["http"] for path in NAMES}

    assert statuses == {
        "tests:http_write": 400,
        "tests:http_echo": 200,
        "tests:http_atomic": 400,
        **dict.fromkeys(NAMES[3:], 404),
    }


@pytest.mark.parametrize("rule", ["raise_error", "forget_to_return", "return_something", "not_callable", "missing"])
def test_rule_that_goes_wrong_refuses_and_is_logged(api, settings, caplog, rule):
    settings.DJANGO_SCHEDULER = {"HTTP_PERMISSION": f"tests.http.functions.{rule}"}

    assert api.mutation("tests:http_write", label="x")["http"] == 403

    assert f"the permission tests.http.functions.{rule} failed" in caplog.text
