"""The suppression lists show, page, take and give back addresses as SendGrid documents."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.standin import messages
from tests.standin.account import SCOPES
from tests.standin.asking import ask
from tests.standin.sample import mail, reader
from tests.standin.server import Standin
from tests.standin.suppressions import DETAILS, DROP_REASONS
from tests.standin.wire import SEND

BOUNCES = "/v3/suppression/bounces"
GLOBAL = "/v3/asm/suppressions/global"
ANN = "ann@example.com"


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[Standin]:
    standin = Standin(tmp_path / "accepted.jsonl")
    yield standin
    standin.ledger.close()


def listed(standin: Standin, path: str = BOUNCES, **query: str) -> Any:
    answer = ask(standin, "GET", path, **query)
    assert answer.status == 200
    return orjson.loads(answer.body)


def emails(standin: Standin, path: str = BOUNCES, **query: str) -> list[str]:
    return [item["email"] for item in listed(standin, path, **query)]


def suppress(standin: Standin, **lists: Any) -> None:
    standin.account.change({"suppress": lists})


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
def test_items_have_the_documented_keys(standin: Standin, name: str, keys: set[str]) -> None:
    suppress(standin, **{name: ["Ann@Example.com"]})

    (item,) = listed(standin, f"/v3/suppression/{name}")

    assert set(item) == keys
    assert item["email"] == ANN
    assert abs(item["created"] - time.time()) < 5


def test_pages_are_newest_first_within_times_and_by_prefix(standin: Standin) -> None:
    created = {"ann@a.example": 300, "bea@a.example": 100, "bob@b.example": 200}
    suppress(standin, bounces=[{"email": e, "created": at} for e, at in created.items()])

    assert emails(standin) == ["ann@a.example", "bob@b.example", "bea@a.example"]
    assert emails(standin, limit="1", offset="1") == ["bob@b.example"]
    assert emails(standin, start_time="200", end_time="300") == ["ann@a.example", "bob@b.example"]
    assert emails(standin, email="B") == ["bob@b.example", "bea@a.example"]
    assert emails(standin, email="%@a.") == ["ann@a.example", "bea@a.example"]


def test_a_page_has_500_items_at_most(standin: Standin) -> None:
    suppress(standin, bounces=[f"reader{n}@example.com" for n in range(501)])

    assert len(listed(standin)) == len(listed(standin, limit="500")) == 500
    for query in ({"limit": "501"}, {"limit": "0"}, {"offset": "-1"}, {"start_time": "now"}):
        assert ask(standin, "GET", BOUNCES, **query).status == 400


def test_addresses_are_taken_off_by_name_or_all(standin: Standin) -> None:
    suppress(standin, bounces=["a@example.com", "b@example.com", "c@example.com"])

    named = ask(standin, "DELETE", BOUNCES, {"emails": ["A@example.com"]}).status
    after_named = emails(standin)
    one = ask(standin, "DELETE", f"{BOUNCES}/b%40example.com").status
    after_one = emails(standin)
    everyone = ask(standin, "DELETE", BOUNCES, {"delete_all": True}).status

    assert (named, one, everyone) == (204, 204, 204)
    assert (after_named, after_one) == (["c@example.com", "b@example.com"], ["c@example.com"])
    assert emails(standin) == []


@pytest.mark.parametrize(
    "body",
    [{"emails": [ANN], "delete_all": True}, {}, {"delete_all": False}, {"emails": ANN}, None],
)
def test_what_to_take_off_has_to_be_clear(standin: Standin, body: Any) -> None:
    suppress(standin, bounces=[ANN])

    assert ask(standin, "DELETE", BOUNCES, body).status == 400
    assert emails(standin) == [ANN]


def test_one_address_is_listed_alone(standin: Standin) -> None:
    suppress(standin, bounces=[ANN])

    assert emails(standin, f"{BOUNCES}/{ANN}") == [ANN]
    assert emails(standin, f"{BOUNCES}/nobody@example.com") == []


def test_global_unsubscribes_have_a_path_of_their_own(standin: Standin) -> None:
    added = ask(standin, "POST", GLOBAL, {"recipient_emails": ["Ann@example.com"]})
    found = listed(standin, f"{GLOBAL}/{ANN}")
    in_list = emails(standin, "/v3/suppression/unsubscribes")
    removed = ask(standin, "DELETE", f"{GLOBAL}/{ANN}").status

    assert (added.status, removed) == (201, 204)
    assert orjson.loads(added.body) == {"recipient_emails": ["Ann@example.com"]}
    assert (found, in_list) == ({"recipient_email": ANN}, [ANN])
    assert listed(standin, f"{GLOBAL}/{ANN}") == {}
    assert ask(standin, "POST", GLOBAL, {"emails": [ANN]}).status == 400


@pytest.mark.parametrize("name", DETAILS)
def test_all_lists_but_blocks_have_mail_dropped(standin: Standin, name: str) -> None:
    suppress(standin, **{name: [ANN]})

    assert standin.account.suppressions.drop_reason(ANN, {}) == DROP_REASONS.get(name)


def test_a_bypass_leaves_the_other_lists_in_force(standin: Standin) -> None:
    suppress(standin, bounces=[ANN], unsubscribes=[ANN])
    lists = standin.account.suppressions

    assert lists.drop_reason(ANN, {"bypass_bounce_management": {"enable": True}}) == (
        "Unsubscribed Address"
    )
    assert lists.drop_reason(ANN, {"bypass_list_management": {"enable": True}}) is None


def test_what_becomes_of_mail_fills_the_lists(standin: Standin) -> None:
    names = ["hard", "s5110", "async", "soft", "noresolve", "spam", "mpp"]
    readers = [reader(n, f"{name}+ann@example.com") for n, name in enumerate(names)]
    ask(standin, "POST", SEND, mail(*readers))

    found = {name: emails(standin, f"/v3/suppression/{name}") for name in DETAILS}
    statuses = [item["status"] for item in listed(standin)]

    assert {name: [e.split("+")[0] for e in found[name]] for name in found} == {
        "bounces": ["async", "s5110", "hard"],
        "blocks": ["noresolve", "soft"],
        "invalid_emails": [],
        "spam_reports": ["spam"],
        "unsubscribes": [],
    }
    assert statuses == ["5.1.1", "5.1.10", "5.1.1"]


def test_whoever_is_taken_off_may_be_mailed_again(standin: Standin) -> None:
    suppress(standin, bounces=[ANN, "bea@example.com"], spam_reports=["bea@example.com"])
    standin.account.told = {ANN, "bea@example.com", "eve@example.com"}

    ask(standin, "DELETE", BOUNCES, {"delete_all": True})

    assert standin.account.told == {"bea@example.com", "eve@example.com"}


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", BOUNCES, "suppression.read"),
        ("GET", f"{GLOBAL}/{ANN}", "suppression.read"),
        ("DELETE", BOUNCES, "suppression.delete"),
        ("POST", GLOBAL, "suppression.create"),
    ],
)
def test_a_key_needs_the_scope(standin: Standin, method: str, path: str, scope: str) -> None:
    standin.account.change({"keys": {"SG.few": SCOPES - {scope}}})

    answer = ask(standin, method, path, key="SG.few")

    assert answer.status == 403
    assert orjson.loads(answer.body)["errors"][0]["message"] == messages.FORBIDDEN


def test_an_unknown_list_is_told(standin: Standin) -> None:
    with pytest.raises(KeyError):
        suppress(standin, friends=[ANN])
    assert ask(standin, "GET", "/v3/suppression/friends").status == 404
    assert ask(standin, "DELETE", "/v3/suppression/unsubscribes").status == 405
