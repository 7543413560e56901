"""Secrets among arguments and results are not shown, and not found."""

from typing import Any

import pytest
from django.test import override_settings

from django_scheduler.masking import BULLETS, mask_by_key
from tests.admin.conftest import DETAIL, LIST, ids_on, page, record

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.mark.parametrize(
    "key",
    ["password", "PASSWORD", "new_password", "passwd", "token", "card_token", "secret", "Authorization", "api_key",
     "apiKey", "access-key", "private_key", "credentials", "set_cookie", "signature", "pin", "pwd"],
)  # fmt: skip
def test_secrets_are_masked_by_the_name_of_their_key(key):
    assert mask_by_key("tests:write", {"a": [{key: {"deep": "hunter2"}}]}) == {"a": [{key: BULLETS}]}


@pytest.mark.parametrize("key", ["order_id", "key", "label", "shipping", "author", "compass", "pinned"])
def test_other_keys_are_not(key):
    assert mask_by_key("tests:write", {key: "x"}) == {key: "x"}


def test_in_dicts_whose_keys_are_not_plain_and_in_dataclasses():
    value: Any = {"$dict": [["$password", "x"], [1, {"token": "x"}]]}
    assert mask_by_key("tests:write", value) == {"$dict": [["$password", BULLETS], [1, {"token": BULLETS}]]}
    value = {"$dataclass": ["a:B", {"secret": "x"}]}
    assert mask_by_key("tests:write", value) == {"$dataclass": ["a:B", {"secret": BULLETS}]}


def test_neither_the_list_nor_the_detail_page_shows_them(admin_client):
    function = record(args={"user": "ann", "password": "hunter2"}, result={"token": "hunter2"})
    for text in (page(admin_client, LIST), page(admin_client, DETAIL, function.pk)):
        assert "hunter2" not in text
        assert BULLETS in text


@pytest.mark.parametrize("query", ["hunter2", "hunt", "password=hunter2", 'password="hunter2"', '"password": "h'])
def test_nobody_finds_a_function_by_a_secret(admin_client, query):
    record(args={"user": "ann", "password": "hunter2"})
    assert ids_on(page(admin_client, LIST, q=query)) == []


def test_what_is_not_secret_is_found_beside_it(admin_client):
    function = record(args={"user": "ann", "password": "hunter2"})
    assert ids_on(page(admin_client, LIST, q="user=ann")) == [function.pk]


def mask_everything(name, value):
    return {"$repr": f"nothing of {name}"}


def mask_badly(name, value):
    raise KeyError(value["password"])


@pytest.mark.parametrize("mask", [mask_everything, "tests.admin.test_masking.mask_everything"])
def test_a_setting_names_another_way(admin_client, mask):
    function = record(args={"user": "ann"})
    with override_settings(DJANGO_SCHEDULER={"MASK": mask}):
        text = page(admin_client, DETAIL, function.pk)
    assert "nothing of tests:write" in text
    assert "ann" not in text


@pytest.mark.parametrize("mask", [mask_badly, "tests.nowhere.mask"])
def test_nothing_is_shown_if_that_fails(admin_client, mask):
    function = record(args={"user": "ann", "password": "hunter2"})
    with override_settings(DJANGO_SCHEDULER={"MASK": mask}):
        for text in (page(admin_client, LIST), page(admin_client, DETAIL, function.pk)):
            assert "hunter2" not in text
            assert "raises" in text
