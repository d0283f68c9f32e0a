"""Faults do what they say, and the log tells what was accepted in spite of them."""

from __future__ import annotations

from typing import Any

import pytest
import urllib3

from tests.standin.client import Standin
from tests.standin.conftest import Post
from tests.standin.faults import KINDS, Faults
from tests.standin.sample_mail import mail, reader
from tests.waiting import wait_until

BROKEN = urllib3.exceptions.HTTPError


def accepted(standin: Standin) -> int:
    return standin.stats()["accepted_requests"]


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        ("too_many_requests", 429, "too many requests"),
        ("too_many_requests_bare", 429, "too many requests"),
        ("credits_used_up", 401, "Maximum credits exceeded"),
        ("key_revoked", 401, "invalid, expired, or revoked"),
        ("from_not_verified", 403, "does not match a verified Sender Identity"),
        ("redirect", 301, ""),
        ("refuse_500", 500, "Internal Server Error"),
        ("refuse_502", 502, "<title>502 Bad Gateway</title>"),
        ("refuse_503", 503, "<title>503 Service Unavailable</title>"),
    ],
)
def test_a_refusal_accepts_nothing(
    standin: Standin, post: Post, kind: str, status: int, words: str
) -> None:
    before = accepted(standin)
    standin.push_fault(kind)

    answer = post(mail())

    assert (answer.status, accepted(standin)) == (status, before)
    assert words in answer.data.decode()
    assert ("X-RateLimit-Reset" in answer.headers) == (kind == "too_many_requests")


@pytest.mark.parametrize(("kind", "page"), [("proxy_200", b"<title>200 OK"), ("proxy_204", b"")])
def test_a_proxy_may_answer_with_success_and_forward_nothing(
    standin: Standin, post: Post, kind: str, page: bytes
) -> None:
    before = accepted(standin)
    standin.push_fault(kind)

    answer = post(mail())

    assert (answer.status, accepted(standin)) == (int(kind[-3:]), before)
    assert page in answer.data


@pytest.mark.parametrize("status", [200, 500, 502, 503, 504])
def test_mail_may_be_accepted_although_the_answer_does_not_say_so(
    standin: Standin, post: Post, status: int
) -> None:
    before = accepted(standin)
    standin.push_fault(f"accept_then_{status}")

    assert post(mail()).status == status
    assert accepted(standin) == before + 1


@pytest.mark.parametrize(
    ("kind", "options", "count"),
    [
        ("accept_then_drop", {}, 1),
        ("accept_then_hang", {"seconds": 0.1}, 1),
        ("truncated", {}, 1),
        ("refuse_unread", {}, 0),
        ("reset_mid_body", {}, 0),
    ],
)
def test_a_broken_connection_leaves_the_client_uncertain(
    standin: Standin, post: Post, kind: str, options: dict[str, Any], count: int
) -> None:
    before = accepted(standin)
    standin.push_fault(kind, **options)

    with pytest.raises(BROKEN):
        post(mail())
    assert accepted(standin) == before + count


@pytest.mark.parametrize("kind", ["slow", "no_message_id", "accept_then_drip"])
def test_a_slow_answer_and_one_without_a_message_id_are_acceptances(
    standin: Standin, post: Post, kind: str
) -> None:
    standin.push_fault(kind, seconds=0.0005 if kind == "accept_then_drip" else 0.05)

    answer = post(mail())

    assert answer.status == 202
    assert ("X-Message-Id" in answer.headers) == (kind != "no_message_id")


def test_a_connection_kept_alive_is_closed_while_idle(standin: Standin, post: Post) -> None:
    standin.push_fault("close_idle")
    before = standin.stats()

    first = post(mail())
    standin.wait_until_closed(before["open_connections"])
    second = post(mail())

    assert (first.status, first.headers["Connection"]) == (202, "keep-alive")
    assert second.status == 202
    assert standin.stats()["connections"] == before["connections"] + 2


def test_one_personalization_is_refused_by_its_index(standin: Standin, post: Post) -> None:
    standin.push_fault("bad_personalization", index=1)

    (error,) = post(mail(reader(1), reader(2))).json()["errors"]

    assert error["field"] == "personalizations.1.to.0.email"
    assert error["message"] == "Does not contain a valid address."


def test_a_refusal_names_the_fields_that_it_is_told(standin: Standin, post: Post) -> None:
    fields = ["personalizations.0", "personalizations.7777.to.0.email"]
    standin.push_fault("refuse_fields", fields=fields)

    assert [error["field"] for error in post(mail()).json()["errors"]] == fields


def test_an_address_is_refused_wherever_it_stands(standin: Standin, post: Post) -> None:
    standin.push_fault("bad_address", address="Bad@example.com", times=2)
    without, with_it = mail(reader(1)), mail(reader(2), reader(3, "bad@example.com"))

    statuses = [post(body).status for body in (without, with_it, with_it, with_it)]

    assert statuses == [202, 400, 400, 202]


def test_faults_happen_in_the_order_in_which_they_were_added(standin: Standin, post: Post) -> None:
    standin.push_fault("refuse_503", skip=1, times=2)
    standin.push_fault("refuse_500")

    assert [post(mail()).status for _ in range(5)] == [202, 503, 503, 500, 202]


def test_random_faults_repeat_with_their_seed() -> None:
    def drawn(seed: int) -> list[str | None]:
        faults = Faults()
        faults.push({"seed": seed, "rates": {"slow": 0.3, "refuse_500": 0.3}})
        return [fault and fault.kind for fault in (faults.draw() for _ in range(100))]

    assert drawn(1) == drawn(1) != drawn(2)
    assert set(drawn(1)) == {None, "slow", "refuse_500"}


def test_an_unknown_fault_is_rejected(standin: Standin) -> None:
    with pytest.raises(ValueError, match="explode is none of"):
        standin.push_fault("explode")
    assert "explode" not in KINDS


def test_mail_accepted_late_is_accepted_after_the_client_gave_up(
    standin: Standin, post: Post
) -> None:
    before = accepted(standin)
    standin.push_fault("accept_late", seconds=1.5)
    url, headers = f"{standin.url}/v3/mail/send", {"Authorization": f"Bearer {standin.api_key}"}
    headers["Content-Type"] = "application/json"

    with pytest.raises(BROKEN):
        urllib3.request(
            "POST", url, json=mail(), headers=headers, timeout=0.1, retries=False, redirect=False
        )
    in_doubt = accepted(standin)
    wait_until(lambda: accepted(standin) > before, "the mail is accepted")

    assert (in_doubt, accepted(standin)) == (before, before + 1)


def test_a_fault_can_be_set_for_another_endpoint(standin: Standin, post: Post) -> None:
    path = "/v3/user/scheduled_sends"
    standin.account(batch_ids=["b"])
    for kind in ("refuse_503", "accept_then_500"):
        standin.push_fault(kind, path=path)
    standin.push_fault("accept_then_drop", path=path)
    headers = {"Authorization": f"Bearer {standin.api_key}"}

    def call(method: str, path: str, body: Any = None) -> urllib3.BaseHTTPResponse:
        url = standin.url + path
        return urllib3.request(method, url, json=body, headers=headers, retries=False)

    statuses = [
        call("POST", path, {"batch_id": "b", "status": "cancel"}).status,
        post(mail()).status,
        call("POST", path, {"batch_id": "b", "status": "cancel"}).status,
    ]
    with pytest.raises(BROKEN):
        call("PATCH", f"{path}/b", {"status": "pause"})

    assert statuses == [503, 202, 500]
    assert call("GET", path).json() == [{"batch_id": "b", "status": "pause"}]
