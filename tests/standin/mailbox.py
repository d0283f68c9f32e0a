"""Accepted mail, rendered and checked as a careful recipient would."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from tests.standin import mail_checks
from tests.standin.acceptance_log import edition_of
from tests.standin.account import Account
from tests.standin.duplicates import Duplicates
from tests.standin.rendering import Mail, Template

KEPT = 10_000
SENTENCES = 1_000
SAMPLE = 100


class Mailbox:
    """Keeps the last 10,000 mails and a sentence for every problem found in them.

    Light, it sees only the first mail of a request and every hundredth after it, and leaves it to
    the acceptance log to tell what was accepted twice.
    """

    def __init__(self, account: Account, light: bool = False) -> None:
        self._problem_count = 0
        self._problems: list[str] = []
        self.warnings: list[str] = []
        self._account = account
        self._step = SAMPLE if light else 1
        self._kept: deque[tuple[Template, dict[str, Any]]] = deque(maxlen=KEPT)
        self._duplicates = Duplicates()
        self._owners: dict[str, str] = {}
        self._recent: deque[tuple[float, int]] = deque()

    @property
    def problems(self) -> list[str]:
        return [*self._problems, *self._duplicates.problems()][:SENTENCES]

    @property
    def problem_count(self) -> int:
        return self._problem_count + len(self._duplicates.problems())

    def take(self, body: dict[str, Any], message_id: str, *, discarded: bool = False) -> None:
        """Keep and judge the mails of one accepted request; its batch may be cancelled already."""
        if discarded:
            self._duplicates.discard(message_id)
        scheduled = message_id if "send_at" in body else None
        self._note(self._judge_pace(len(body["personalizations"])))
        blocks = body["personalizations"][:: self._step]
        sample = {**body, "personalizations": blocks}
        template = Template(sample, message_id)
        first = template.render(blocks[0])
        self._note(mail_checks.judge_request(sample))
        self._note(mail_checks.judge_shared(first, self._account.postal_address))
        self._note_warnings(mail_checks.warn(first))
        for block in blocks:
            self._kept.append((template, block))
            mail = template.render(block)
            self._note(mail_checks.judge_mail(mail))
            self._note(self._judge_reader(mail))
            self._count(mail, scheduled)

    def discard(self, message_id: str, gone: bool = True) -> None:
        """Mark the mail of a request as discarded, or as not discarded after all."""
        if gone:
            self._duplicates.discard(message_id)
        else:
            self._duplicates.restore(message_id)

    def find(self, to: str | None = None) -> list[dict[str, Any]]:
        """The kept mails to an address, ignoring case, or all; oldest first.

        Mail that is discarded has no reader, and is left out.
        """
        return [
            template.render(block).as_json()
            for template, block in self._kept
            if not self._duplicates.is_discarded(template.message_id)
            if to is None or to.lower() in {each["email"].lower() for each in block["to"]}
        ]

    def _judge_reader(self, mail: Mail) -> Iterator[str]:
        """Check what only the mails before this one can tell."""
        address, args = mail.address.lower(), mail.custom_args
        if address in self._account.told:
            yield f"{address}: mailed although its suppression was reported"
        if "nif_d" not in args:
            return
        if self._account.confirmed is not None and address not in self._account.confirmed:
            yield f"{address}: mailed although it never confirmed"
        link = mail.headers.get("List-Unsubscribe", address)
        if self._owners.setdefault(link, address) != address:
            yield f"{address}: shares its unsubscribe link with {self._owners[link]}"

    def _count(self, mail: Mail, scheduled: str | None) -> None:
        """What may be accepted once: a delivery, and an edition for each address."""
        address, delivery = mail.address.lower(), mail.custom_args.get("nif_d")
        if delivery is None:
            return
        sentence = f"{address}: delivery {delivery} accepted twice"
        self._duplicates.add(delivery, sentence, scheduled)
        edition = edition_of(mail.custom_args)
        if edition is not None:
            sentence = f"{address}: edition {edition} accepted twice"
            self._duplicates.add((edition, address), sentence, scheduled)

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
            self._problem_count += 1
            if len(self._problems) < SENTENCES:
                self._problems.append(sentence)

    def _note_warnings(self, sentences: Iterable[str]) -> None:
        for sentence in sentences:
            if sentence not in self.warnings:
                self.warnings.append(sentence)
