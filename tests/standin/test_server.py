"""What is asked before the rules: path, method, key, size and form of the body."""

from __future__ import annotations

import gzip
from typing import Any

import orjson
import pytest

from tests.standin import error_messages
from tests.standin.http_messages import LARGEST_MAIL, SEND, Answer, Request
from tests.standin.sample_mail import mail, reader
from tests.standin.server import Standin

HEADERS = {"authorization": "Bearer SG.standin", "content-type": "application/json"}


def request_json(
    inside: Standin,
    body: bytes = b"{}",
    headers: dict[str, str] | None = None,
    method: str = "POST",
    path: str = SEND,
) -> Answer:
    return inside.answer(Request(method, path, {}, {**HEADERS, **(headers or {})}, body))


def only_error(answer: Answer) -> dict[str, Any]:
    (error,) = orjson.loads(answer.body)["errors"]
    return error


def test_an_unknown_path_is_answered_with_404_and_a_wrong_method_with_405(inside: Standin) -> None:
    assert request_json(inside, path="/v3/mail").status == 404
    assert request_json(inside, method="GET").status == 405


@pytest.mark.parametrize(
    ("authorization", "status", "message"),
    [
        ("", 401, error_messages.WRONG_CREDENTIALS),
        ("Basic c3RhbmRpbg==", 401, error_messages.WRONG_CREDENTIALS),
        ("Bearer SG.other", 401, error_messages.REVOKED),
        ("Bearer SG.readonly", 403, error_messages.FORBIDDEN),
    ],
)
def test_a_key_that_is_unknown_or_not_allowed_is_refused(
    inside: Standin, authorization: str, status: int, message: str
) -> None:
    inside.account.change({"keys": {"SG.standin": ["mail.send"], "SG.readonly": ["stats.read"]}})

    answer = request_json(inside, headers={"authorization": authorization})

    assert answer.status == status
    assert only_error(answer) == {"message": message, "field": None, "help": None}


def test_a_revoked_key_is_refused(inside: Standin) -> None:
    inside.account.change({"key_revoked": True})

    assert only_error(request_json(inside))["message"] == error_messages.REVOKED


def test_a_body_beyond_30_megabytes_is_answered_by_nginx(inside: Standin) -> None:
    answer = request_json(inside, b" " * (LARGEST_MAIL + 1))

    assert answer.status == 413
    assert answer.headers["Content-Type"] == "text/html"
    assert b"<title>413 Request Entity Too Large</title>" in answer.body


def test_a_body_without_the_content_type_of_json_is_refused(inside: Standin) -> None:
    answer = request_json(inside, headers={"content-type": "text/plain"})

    assert answer.status == 415
    assert only_error(answer)["message"] == error_messages.NOT_JSON


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        orjson.dumps(mail(content={"type": "text/plain", "value": "x"})),
        orjson.dumps(mail(headers={"X-A": 1})),
        orjson.dumps(mail({**reader(1), "custom_args": {"nif_d": 1}})),
        orjson.dumps(mail({**reader(1), "substitutions": {"%nif.name%": None}})),
        orjson.dumps(mail({**reader(1), "to": "ann@example.com"})),
    ],
)
def test_wrong_json_types_are_a_bad_request(inside: Standin, body: bytes) -> None:
    answer = request_json(inside, body)

    assert answer.status == 400
    assert only_error(answer) == {"message": "Bad Request", "field": None, "help": None}


def test_a_body_that_is_not_utf8_is_refused(inside: Standin) -> None:
    assert (
        only_error(request_json(inside, b'{"subject": "\xff"}'))["message"]
        == error_messages.INVALID_UTF8
    )


def test_gzip_is_understood_only_where_the_account_has_it(inside: Standin) -> None:
    body = gzip.compress(orjson.dumps(mail()))
    refused = request_json(inside, body, {"content-encoding": "gzip"})
    inside.account.change({"gzip": True})

    assert refused.status == 400
    assert request_json(inside, body, {"content-encoding": "gzip"}).status == 202


def test_nothing_is_stored_unless_the_whole_body_is_valid(inside: Standin) -> None:
    assert request_json(inside, orjson.dumps(mail(reader(1), reader(2, "nobody")))).status == 400

    assert inside.acceptances.path.read_bytes() == b""
    assert inside.mailbox.find() == []


def test_a_request_in_sandbox_mode_is_answered_with_200_and_sends_nothing(inside: Standin) -> None:
    inside.account.change({"credits": 1})
    body = orjson.dumps(mail(mail_settings={"sandbox_mode": {"enable": True}}))

    assert request_json(inside, body).status == 200
    assert inside.account.credits == 1
    assert inside.acceptances.recipients == 0


def test_each_recipient_costs_one_credit(inside: Standin) -> None:
    inside.account.change({"credits": 3})
    statuses = [
        request_json(inside, orjson.dumps(mail(reader(n), reader(n + 9)))).status for n in (1, 2)
    ]

    assert statuses == [202, 401]


def test_the_public_key_of_the_webhook_can_be_fetched(inside: Standin) -> None:
    answer = request_json(inside, method="GET", path="/v3/user/webhooks/event/settings/signed/1")

    assert orjson.loads(answer.body) == {"public_key": inside.emitter.signer.public_key}
