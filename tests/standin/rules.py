"""Whether SendGrid would accept a mail/send body, and in which words it would refuse it."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import orjson

from tests.standin import content, error_messages, json_types, recipients
from tests.standin.account import Account
from tests.standin.error_messages import Refusal
from tests.standin.http_messages import Answer, Request, html_answer, json_answer


def refusal(status: int, *refusals: Refusal) -> Answer:
    return json_answer(status, {"errors": [refused.as_json() for refused in refusals]})


def refuse(status: int, message: str, field: str | None = None) -> Answer:
    return refusal(status, Refusal(field, message))


def check_request(request: Request, account: Account) -> Answer | None:
    """What is checked before the rules: method, key, scope, size and type of the body."""
    if request.method != "POST":
        return refuse(405, error_messages.WRONG_METHOD)
    if denied := check_key(request, account, "mail.send"):
        return denied
    if request.too_large:
        return html_answer(413)
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        return refuse(415, error_messages.NOT_JSON)
    return None


def check_key(request: Request, account: Account, scope: str) -> Answer | None:
    scheme, _space, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        return refuse(401, error_messages.WRONG_CREDENTIALS)
    if account.key_revoked or key not in account.keys:
        return refuse(401, error_messages.REVOKED)
    if scope not in account.keys[key]:
        return refuse(403, error_messages.FORBIDDEN)
    return None


class Parsed(NamedTuple):
    """A body with the right JSON types; `plain` where is_plain() clears its recipients."""

    body: dict[str, Any]
    plain: bool


def parse(data: bytes, light: bool = False) -> Parsed | Answer:
    """The body of a mail, or the answer to what is none; plain bodies are told if `light`."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            data.decode()
        except UnicodeDecodeError:
            return refuse(400, error_messages.INVALID_UTF8)
        return refuse(400, error_messages.BAD_REQUEST)
    plain = light and json_types.is_plain(body)
    if json_types.has_wrong_types(body, plain):
        return refuse(400, error_messages.BAD_REQUEST)
    return Parsed(body, plain)


def check_mail(body: dict[str, Any], account: Account, plain: bool = False) -> Answer | None:
    """The refusal of a whole body, all its errors in one answer, or None where it is fine.

    Personalizations pass unseen that are plain, but for addresses that stand there twice.
    """
    now = time.time()
    refusals = [
        *content.check(body, account, now),
        *recipients.check(body, account, now, plain=plain),
    ]
    if refusals:
        return refusal(400, *refusals)
    if body["from"]["email"].rpartition("@")[2].lower() not in account.sender_domains:
        return refuse(403, error_messages.UNVERIFIED_SENDER, "from")
    if account.credits is not None and account.credits < recipients.count(body):
        return refuse(401, error_messages.NO_CREDITS)
    return None
