"""The endpoints of the suppression lists: /v3/suppression/... and /v3/asm/suppressions/global."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.standin import error_messages
from tests.standin.http_messages import Answer, Request, json_answer, json_object
from tests.standin.rules import refuse
from tests.standin.suppressions import Selection

if TYPE_CHECKING:
    from tests.standin.server import Standin

# The format that Twilio's OpenAPI file asks for, as far as anybody can tell it from outside.
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
Act = Callable[["Standin", Request, str], Answer]
LARGEST_PAGE = 500
GLOBAL = "unsubscribes"


def page_of(name: str) -> Act:
    """Lists a page of items; 400 for numbers that are none or out of bounds."""

    def act(standin: Standin, request: Request, _address: str) -> Answer:
        asked = {}
        for key, default in PAGE.items():
            text = request.query.get(key, str(default))
            if not text.isdecimal():
                return refuse(400, error_messages.NOT_A_NUMBER.format(key), key)
            asked[key] = int(text)
        limit, offset = asked["limit"], asked["offset"]
        if not 1 <= limit <= LARGEST_PAGE:
            return refuse(400, error_messages.PAGE_TOO_LARGE, "limit")
        start, end = asked["start_time"], asked["end_time"]
        selection = Selection(start, end, request.query.get("email", ""))
        found = standin.account.suppressions.select(name, selection)
        return json_answer(200, found[offset : offset + limit])

    return act


def one_of(name: str) -> Act:
    """Lists the item of an address, or nothing."""

    def act(standin: Standin, _request: Request, address: str) -> Answer:
        item = standin.account.suppressions.get(name, address)
        return json_answer(200, [item] if item else [])

    return act


def some_off(name: str) -> Act:
    """Takes named addresses or all of them off a list: exactly one of both has to be asked."""

    def act(standin: Standin, request: Request, _address: str) -> Answer:
        asked = json_object(request.body)
        emails, everyone = asked.get("emails"), asked.get("delete_all", False)
        if type(everyone) is not bool or everyone is (emails is not None):
            return refuse(400, error_messages.DELETE_WHAT)
        if not everyone and not _are_texts(emails):
            return refuse(400, error_messages.BAD_REQUEST)
        standin.account.unsuppress(name, None if everyone else emails)
        return Answer(204)

    return act


def one_off(name: str) -> Act:
    def act(standin: Standin, _request: Request, address: str) -> Answer:
        standin.account.unsuppress(name, [address])
        return Answer(204)

    return act


def add_global(standin: Standin, request: Request, _address: str) -> Answer:
    emails = json_object(request.body).get("recipient_emails")
    if not _are_texts(emails):
        return refuse(400, error_messages.BAD_REQUEST)
    if not emails or not all(map(ADDRESS.fullmatch, emails)):
        return refuse(400, error_messages.NOT_ADDRESSES, "recipient_emails")
    standin.account.suppressions.add(GLOBAL, emails)
    return json_answer(201, {"recipient_emails": emails})


def find_global(standin: Standin, _request: Request, address: str) -> Answer:
    item = standin.account.suppressions.get(GLOBAL, address)
    return json_answer(200, {"recipient_email": item["email"]} if item else {})


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


PAGE = {"limit": LARGEST_PAGE, "offset": 0, "start_time": 0, "end_time": 1 << 40}
