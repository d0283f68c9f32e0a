"""Whether SendGrid would take a mail/send body, and in which words it would refuse."""

from __future__ import annotations

import time
from typing import Any

import orjson

from tests.standin import content, messages, recipients, shape
from tests.standin.account import Account
from tests.standin.messages import Refusal
from tests.standin.wire import Answer, Request, html_answer, json_answer


def refusal(status: int, *refusals: Refusal) -> Answer:
    return json_answer(status, {"errors": [refused.as_json() for refused in refusals]})


def refuse(status: int, message: str, field: str | None = None) -> Answer:
    return refusal(status, Refusal(field, message))


def check_request(request: Request, account: Account) -> Answer | None:
    """What the doors in front of the rules answer: method, key, scope, size, type of the body."""
    if request.method != "POST":
        return refuse(405, "POST method allowed only")
    if denied := check_key(request, account, "mail.send"):
        return denied
    if request.too_large:
        return html_answer(413)
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        return refuse(415, messages.NOT_JSON)
    return None


def check_key(request: Request, account: Account, scope: str) -> Answer | None:
    scheme, _space, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        return refuse(401, messages.WRONG_CREDENTIALS)
    if account.key_revoked or key not in account.keys:
        return refuse(401, messages.REVOKED)
    if scope not in account.keys[key]:
        return refuse(403, messages.FORBIDDEN)
    return None


def parse(data: bytes) -> dict[str, Any] | Answer:
    """The body as JSON with the right types, or the answer to what is neither."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            data.decode()
        except UnicodeDecodeError:
            return refuse(400, messages.INVALID_UTF8)
        return refuse(400, messages.BAD_REQUEST)
    return refuse(400, messages.BAD_REQUEST) if shape.has_wrong_types(body) else body


def check_mail(body: dict[str, Any], account: Account, light: bool = False) -> Answer | None:
    """The refusal of a whole body, all its errors in one answer, or None where it is fine.

    Light checks let personalizations pass unseen that shape.is_plain() has cleared.
    """
    now = time.time()
    refusals = [
        *content.check(body, account, now),
        *recipients.check(body, account, now, skip_blocks=light and shape.is_plain(body)),
    ]
    if refusals:
        return refusal(400, *refusals)
    if body["from"]["email"].rpartition("@")[2].lower() not in account.sender_domains:
        return refuse(403, messages.UNVERIFIED_SENDER, "from")
    if account.credits is not None and account.credits < recipients.count(body):
        return refuse(401, messages.NO_CREDITS)
    return None
