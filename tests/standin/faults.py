"""What goes wrong between a client and SendGrid: scripted request by request, or by a seed."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.standin import error_messages
from tests.standin.error_messages import Refusal
from tests.standin.http_messages import SEND, Answer, html_answer, json_answer
from tests.standin.rules import refusal, refuse

ELSEWHERE = "https://api.sendgrid.com/v3/mail/send"
TOO_MANY = {"errors": [{"field": None, "message": error_messages.TOO_MANY_REQUESTS}]}
SECONDS = {
    "accept_then_hang": 60.0,
    "accept_late": 60.0,
    "accept_then_drip": 1.0,
    "slow": 5.0,
    "too_many_requests": 1.0,
}


@dataclass(slots=True)
class Fault:
    """One thing to go wrong, `times` times after `skip` requests that go well.

    `index` is for bad_personalization, `fields` for refuse_fields, `address` for bad_address,
    `seconds` for the length of a hang, the delay of slow and accept_late, the time between two
    bytes of accept_then_drip, and how far away the reset of a 429 is. `path` is the endpoint that
    it meets, with everything below it.
    """

    kind: str
    times: int = 1
    skip: int = 0
    index: int = 0
    fields: Sequence[str] = ()
    address: str = ""
    seconds: float = 0.0
    path: str = SEND

    def __post_init__(self) -> None:
        self.seconds = self.seconds or SECONDS.get(self.kind, 0.0)
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind} is none of {', '.join(sorted(KINDS))}")

    def covers(self, path: str) -> bool:
        return f"{path}/".startswith(f"{self.path}/")


def _too_many(fault: Fault) -> Answer:
    return json_answer(
        429,
        TOO_MANY,
        {
            "X-RateLimit-Limit": "600",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(int(time.time() + fault.seconds)),
        },
    )


def _bad_address(place: str) -> Answer:
    return _invalid([f"{place}.to.0.email"])


def _invalid(fields: Iterable[str]) -> Answer:
    return refusal(400, *(Refusal(field, error_messages.INVALID_ADDRESS) for field in fields))


# Nothing is accepted: the connection breaks before the body is read, or in the middle of it.
BREAKS = frozenset({"refuse_unread", "reset_mid_body"})

# Nothing is accepted, and the answer says so, or comes from a proxy and says nothing.
# bad_personalization and refuse_fields name what they are told, healthy addresses too.
REFUSALS: dict[str, Callable[[Fault], Answer]] = {
    "too_many_requests": _too_many,
    "too_many_requests_bare": lambda _fault: json_answer(429, TOO_MANY),
    "credits_used_up": lambda _fault: refuse(401, error_messages.NO_CREDITS),
    "key_revoked": lambda _fault: refuse(401, error_messages.REVOKED),
    "from_not_verified": lambda _fault: refuse(403, error_messages.UNVERIFIED_SENDER, "from"),
    "bad_personalization": lambda fault: _bad_address(f"personalizations.{fault.index}"),
    "refuse_fields": lambda fault: _invalid(fault.fields),
    "proxy_200": lambda _fault: html_answer(200),
    "proxy_204": lambda _fault: Answer(204),
    "redirect": lambda _fault: Answer(301, headers={"Location": ELSEWHERE}),
    "refuse_500": lambda _fault: refuse(500, "Internal Server Error"),
    "refuse_502": lambda _fault: html_answer(502),
    "refuse_503": lambda _fault: html_answer(503),
}

# Everything is accepted and logged, but the answer does not say so.
LIES: dict[str, Callable[[Fault], Answer]] = {
    "accept_then_200": REFUSALS["proxy_200"],
    "accept_then_500": REFUSALS["refuse_500"],
    "accept_then_502": REFUSALS["refuse_502"],
    "accept_then_503": REFUSALS["refuse_503"],
    "accept_then_504": lambda _fault: html_answer(504),
}

# Everything is accepted and logged, but the answer suffers on its way; accept_late does not even
# accept before the client has waited in vain, and then answers nothing.
MISHAPS = frozenset(
    {
        "accept_late",
        "accept_then_drip",
        "accept_then_drop",
        "accept_then_hang",
        "truncated",
        "slow",
        "no_message_id",
        "close_idle",
    }
)
UNANSWERED = frozenset({"accept_late", "accept_then_drop", "accept_then_hang"})
KINDS = BREAKS | REFUSALS.keys() | LIES.keys() | MISHAPS | {"bad_address"}


class Faults:
    """The faults that are due: one queue, a random profile, and addresses always refused.

    The profile and the addresses are those of mail; scripted faults name their endpoint.
    """

    def __init__(self) -> None:
        self.made: Counter[str] = Counter()
        self.clear()

    def clear(self) -> None:
        self._queue: deque[Fault] = deque()
        self._addresses: list[Fault] = []
        self._rates: dict[str, float] = {}
        self._seconds: dict[str, float] = {}
        self._random = random.Random(0)

    def push(self, script: list[dict[str, Any]] | dict[str, Any]) -> None:
        """Add scripted faults, or set a profile {"seed": n, "rates": {kind: probability}}.

        A profile may also have {"seconds": {kind: seconds}}. Raises KeyError, TypeError or
        ValueError for what is no fault.
        """
        if isinstance(script, dict):
            if unknown := script["rates"].keys() - (KINDS - {"bad_address"}):
                raise ValueError(f"no such faults: {sorted(unknown)}")
            self._random = random.Random(script.get("seed", 0))
            self._rates = script["rates"]
            self._seconds = script.get("seconds", {})
            return
        for fault in [Fault(**each) for each in script]:
            (self._addresses if fault.kind == "bad_address" else self._queue).append(fault)

    def draw(self, path: str = SEND) -> Fault | None:
        """The fault of the next request; scripted ones come in order and before random ones."""
        scripted = next((fault for fault in self._queue if fault.covers(path)), None)
        if scripted:
            fault = self._advance(scripted)
        else:
            fault = self._next_random() if path == SEND else None
        if fault:
            self.made[fault.kind] += 1
        return fault

    def refuse_address(self, addresses: Iterable[str]) -> Answer | None:
        """The 400 for every personalization (by position) that has a refused address."""
        refused = {fault.address.lower(): fault for fault in self._addresses if fault.times}
        if not refused:
            return None
        hits = [(n, refused[a.lower()]) for n, a in enumerate(addresses) if a.lower() in refused]
        for _place, fault in hits:
            fault.times -= 1
            self.made[fault.kind] += 1
        fields = [f"personalizations.{place}.to.0.email" for place, _fault in hits]
        return _invalid(fields) if fields else None

    def _advance(self, fault: Fault) -> Fault | None:
        if fault.skip:
            fault.skip -= 1
            return None
        fault.times -= 1
        if not fault.times:
            self._queue.remove(fault)
        return fault

    def _next_random(self) -> Fault | None:
        dice = self._random.random() if self._rates else 1.0
        for kind, rate in self._rates.items():
            dice -= rate
            if dice < 0:
                return Fault(kind, seconds=self._seconds.get(kind, 0.0))
        return None
