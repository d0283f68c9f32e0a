"""The suppression lists show, page, take and give back addresses as SendGrid documents."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from tests.standin import error_messages
from tests.standin.account import SCOPES
from tests.standin.http_messages import SEND
from tests.standin.in_process import request_json
from tests.standin.sample_mail import mail, reader
from tests.standin.server import Standin
from tests.standin.suppressions import DETAILS, DROP_REASONS

BOUNCES = "/v3/suppression/bounces"
GLOBAL = "/v3/asm/suppressions/global"
ANN = "ann@example.com"


def listed(inside: Standin, path: str = BOUNCES, **query: str) -> Any:
    answer = request_json(inside, "GET", path, **query)
    assert answer.status == 200
    return orjson.loads(answer.body)


def emails(inside: Standin, path: str = BOUNCES, **query: str) -> list[str]:
    return [item["email"] for item in listed(inside, path, **query)]


def suppress(inside: Standin, **lists: Any) -> None:
    inside.account.change({"suppress": lists})


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("bounces", {"created", "email", "reason", "status"}),
        ("blocks", {"created", "email", "reason", "status"}),
        ("invalid_emails", {"created", "email", "reason"}),
        ("spam_reports", {"created", "email", "ip"}),
        ("unsubscribes", {"created", "email"}),
    ],
)
def test_entries_of_a_list_have_the_documented_fields(
    inside: Standin, name: str, keys: set[str]
) -> None:
    suppress(inside, **{name: ["Ann@Example.com"]})

    (item,) = listed(inside, f"/v3/suppression/{name}")

    assert set(item) == keys
    assert item["email"] == ANN
    assert abs(item["created"] - time.time()) < 5


def test_pages_are_newest_first_within_times_and_by_prefix(inside: Standin) -> None:
    created = {"ann@a.example": 300, "bea@a.example": 100, "bob@b.example": 200}
    suppress(inside, bounces=[{"email": e, "created": at} for e, at in created.items()])

    assert emails(inside) == ["ann@a.example", "bob@b.example", "bea@a.example"]
    assert emails(inside, limit="1", offset="1") == ["bob@b.example"]
    assert emails(inside, start_time="200", end_time="300") == ["ann@a.example", "bob@b.example"]
    assert emails(inside, email="B") == ["bob@b.example", "bea@a.example"]
    assert emails(inside, email="%@a.") == ["ann@a.example", "bea@a.example"]


def test_a_page_has_at_most_500_entries(inside: Standin) -> None:
    suppress(inside, bounces=[f"reader{n}@example.com" for n in range(501)])

    assert len(listed(inside)) == len(listed(inside, limit="500")) == 500
    for query in ({"limit": "501"}, {"limit": "0"}, {"offset": "-1"}, {"start_time": "now"}):
        assert request_json(inside, "GET", BOUNCES, **query).status == 400


def test_addresses_are_removed_by_name_or_all_at_once(inside: Standin) -> None:
    suppress(inside, bounces=["a@example.com", "b@example.com", "c@example.com"])

    named = request_json(inside, "DELETE", BOUNCES, {"emails": ["A@example.com"]}).status
    after_named = emails(inside)
    one = request_json(inside, "DELETE", f"{BOUNCES}/b%40example.com").status
    after_one = emails(inside)
    everyone = request_json(inside, "DELETE", BOUNCES, {"delete_all": True}).status

    assert (named, one, everyone) == (204, 204, 204)
    assert (after_named, after_one) == (["c@example.com", "b@example.com"], ["c@example.com"])
    assert emails(inside) == []


@pytest.mark.parametrize(
    "body",
    [{"emails": [ANN], "delete_all": True}, {}, {"delete_all": False}, {"emails": ANN}, None],
)
def test_a_removal_without_addresses_and_without_all_is_refused(inside: Standin, body: Any) -> None:
    suppress(inside, bounces=[ANN])

    assert request_json(inside, "DELETE", BOUNCES, body).status == 400
    assert emails(inside) == [ANN]


def test_the_entry_of_one_address_can_be_fetched(inside: Standin) -> None:
    suppress(inside, bounces=[ANN])

    assert emails(inside, f"{BOUNCES}/{ANN}") == [ANN]
    assert emails(inside, f"{BOUNCES}/nobody@example.com") == []


def test_global_unsubscribes_have_a_path_of_their_own(inside: Standin) -> None:
    added = request_json(inside, "POST", GLOBAL, {"recipient_emails": ["Ann@example.com"]})
    found = listed(inside, f"{GLOBAL}/{ANN}")
    in_list = emails(inside, "/v3/suppression/unsubscribes")
    removed = request_json(inside, "DELETE", f"{GLOBAL}/{ANN}").status

    assert (added.status, removed) == (201, 204)
    assert orjson.loads(added.body) == {"recipient_emails": ["Ann@example.com"]}
    assert (found, in_list) == ({"recipient_email": ANN}, [ANN])
    assert listed(inside, f"{GLOBAL}/{ANN}") == {}
    assert request_json(inside, "POST", GLOBAL, {"emails": [ANN]}).status == 400
    for wrong in ([], [ANN, "nobody"], ANN):
        assert request_json(inside, "POST", GLOBAL, {"recipient_emails": wrong}).status == 400
    assert emails(inside, "/v3/suppression/unsubscribes") == []


@pytest.mark.parametrize("name", DETAILS)
def test_mail_to_an_address_on_any_list_but_blocks_is_dropped(inside: Standin, name: str) -> None:
    suppress(inside, **{name: [ANN]})

    assert inside.account.suppressions.drop_reason(ANN, {}) == DROP_REASONS.get(name)


def test_bypassing_one_list_leaves_the_other_lists_in_force(inside: Standin) -> None:
    suppress(inside, bounces=[ANN], unsubscribes=[ANN])
    lists = inside.account.suppressions

    assert lists.drop_reason(ANN, {"bypass_bounce_management": {"enable": True}}) == (
        "Unsubscribed Address"
    )
    assert lists.drop_reason(ANN, {"bypass_list_management": {"enable": True}}) is None


def test_bounces_and_complaints_put_addresses_on_the_lists(inside: Standin) -> None:
    names = ["hard", "s5110", "async", "soft", "noresolve", "spam", "mpp"]
    readers = [reader(n, f"{name}+ann@example.com") for n, name in enumerate(names)]
    request_json(inside, "POST", SEND, mail(*readers))

    found = {name: emails(inside, f"/v3/suppression/{name}") for name in DETAILS}
    statuses = [item["status"] for item in listed(inside)]

    assert {name: [e.split("+")[0] for e in found[name]] for name in found} == {
        "bounces": ["async", "s5110", "hard"],
        "blocks": ["noresolve", "soft"],
        "invalid_emails": [],
        "spam_reports": ["spam"],
        "unsubscribes": [],
    }
    assert statuses == ["5.1.1", "5.1.10", "5.1.1"]


def test_an_address_removed_from_a_list_may_be_mailed_again(inside: Standin) -> None:
    suppress(inside, bounces=[ANN, "bea@example.com"], spam_reports=["bea@example.com"])
    inside.account.told = {ANN, "bea@example.com", "eve@example.com"}

    request_json(inside, "DELETE", BOUNCES, {"delete_all": True})

    assert inside.account.told == {"bea@example.com", "eve@example.com"}


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", BOUNCES, "suppression.read"),
        ("GET", f"{GLOBAL}/{ANN}", "suppression.read"),
        ("DELETE", BOUNCES, "suppression.delete"),
        ("POST", GLOBAL, "suppression.create"),
    ],
)
def test_a_key_without_the_scope_of_the_endpoint_is_refused(
    inside: Standin, method: str, path: str, scope: str
) -> None:
    inside.account.change({"keys": {"SG.few": SCOPES - {scope}}})

    answer = request_json(inside, method, path, key="SG.few")

    assert answer.status == 403
    assert orjson.loads(answer.body)["errors"][0]["message"] == error_messages.FORBIDDEN


def test_an_unknown_list_is_rejected(inside: Standin) -> None:
    with pytest.raises(KeyError):
        suppress(inside, friends=[ANN])
    assert request_json(inside, "GET", "/v3/suppression/friends").status == 404
    assert request_json(inside, "DELETE", "/v3/suppression/unsubscribes").status == 405
