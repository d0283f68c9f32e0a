"""Accepted mail, rendered and judged: what a careful recipient would hold against NIF."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from tests.standin import judging
from tests.standin.account import Account
from tests.standin.ledger import edition_of
from tests.standin.rendering import Mail, Template

KEPT = 10_000
SENTENCES = 1_000
SAMPLE = 100


class Mailbox:
    """Keeps the last 10,000 mails and a sentence for every problem found in them.

    Light, it renders the first mail of a request and every hundredth after it, and leaves it to
    the ledger to tell what was accepted twice.
    """

    def __init__(self, account: Account, light: bool = False) -> None:
        self.problem_count = 0
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self._account = account
        self._step = SAMPLE if light else 1
        self._kept: deque[tuple[Template, dict[str, Any]]] = deque(maxlen=KEPT)
        self._deliveries: set[str] = set()
        self._readers: set[tuple[str | None, str]] = set()
        self._owners: dict[str, str] = {}
        self._recent: deque[tuple[float, int]] = deque()

    def take(self, body: dict[str, Any], message_id: str) -> None:
        """Keep and judge the mails of one accepted request."""
        template = Template(body, message_id)
        blocks = body["personalizations"]
        first = template.render(blocks[0])
        self._note(judging.judge_request(body))
        self._note(judging.judge_shared(first, self._account.postal_address))
        self._note(self._judge_pace(len(blocks)))
        self._note_warnings(judging.warn(first))
        for block in blocks[:: self._step]:
            self._kept.append((template, block))
            mail = template.render(block)
            self._note(judging.judge_mail(mail))
            self._note(self._judge_reader(mail))

    def find(self, to: str | None = None) -> list[dict[str, Any]]:
        """The kept mails to an address, ignoring case, or all; oldest first."""
        return [
            template.render(block).as_json()
            for template, block in self._kept
            if to is None or to.lower() in {each["email"].lower() for each in block["to"]}
        ]

    def _judge_reader(self, mail: Mail) -> Iterator[str]:
        """What only the mails before this one can tell."""
        address, args = mail.address.lower(), mail.custom_args
        if address in self._account.told:
            yield f"{address}: mailed although its suppression was reported"
        if "nif_d" not in args:
            return
        if self._account.confirmed is not None and address not in self._account.confirmed:
            yield f"{address}: mailed although it never confirmed"
        if args["nif_d"] in self._deliveries:
            yield f"{address}: delivery {args['nif_d']} accepted twice"
        self._deliveries.add(args["nif_d"])
        edition = edition_of(args)
        if edition is not None and (edition, address) in self._readers:
            yield f"{address}: edition {edition} accepted twice"
        self._readers.add((edition, address))
        link = mail.headers.get("List-Unsubscribe", address)
        if self._owners.setdefault(link, address) != address:
            yield f"{address}: shares its unsubscribe link with {self._owners[link]}"

    def _judge_pace(self, recipients: int) -> Iterator[str]:
        ramp, now = self._account.ramp, time.monotonic()
        if ramp is None:
            return
        self._recent.append((now, recipients))
        while self._recent[0][0] < now - self._account.ramp_seconds:
            self._recent.popleft()
        total = sum(count for _when, count in self._recent)
        if total > ramp:
            window = self._account.ramp_seconds
            yield f"{total} recipients within {window:g} s are above the ramp of {ramp}"

    def _note(self, sentences: Iterable[str]) -> None:
        for sentence in sentences:
            self.problem_count += 1
            if len(self.problems) < SENTENCES:
                self.problems.append(sentence)

    def _note_warnings(self, sentences: Iterable[str]) -> None:
        for sentence in sentences:
            if sentence not in self.warnings:
                self.warnings.append(sentence)
