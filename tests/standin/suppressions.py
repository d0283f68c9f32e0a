"""SendGrid's suppression lists: addresses whose mail it drops, and those it only records."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

DROP_REASONS = {
    "bounces": "Bounced Address",
    "spam_reports": "Spam Reporting Address",
    "unsubscribes": "Unsubscribed Address",
    "invalid_emails": "Invalid",
}
BYPASSES = {
    "bypass_list_management": frozenset(DROP_REASONS),
    "bypass_bounce_management": frozenset({"bounces"}),
    "bypass_spam_management": frozenset({"spam_reports"}),
    "bypass_unsubscribe_management": frozenset({"unsubscribes"}),
}
# What an item says besides its address and time, with what it says where nothing is known.
DETAILS: dict[str, dict[str, str]] = {
    "bounces": {"reason": "550 5.1.1 The email account does not exist", "status": "5.1.1"},
    "blocks": {"reason": "452 4.2.2 The email account is over quota", "status": "4.2.2"},
    "invalid_emails": {"reason": "Mail domain mentioned in email address is unknown"},
    "spam_reports": {"ip": "127.0.0.1"},
    "unsubscribes": {},
}
Item = dict[str, Any]


@dataclass(frozen=True)
class Selection:
    """Which items of a list: `start` and `end` are inclusive, in unix seconds.

    `email` is the beginning of an address, in which % stands for anything.
    """

    start: int = 0
    end: float = float("inf")
    email: str = ""

    def takes(self, item: Item) -> bool:
        pattern = ".*".join(map(re.escape, self.email.lower().split("%")))
        return self.start <= item["created"] <= self.end and bool(re.match(pattern, item["email"]))


@dataclass
class Suppressions:
    """An item for each address of each list; addresses are kept in lower case."""

    _lists: dict[str, dict[str, Item]] = field(default_factory=lambda: {n: {} for n in DETAILS})

    def __bool__(self) -> bool:
        """Whether any address would be dropped; nobody is for being on blocks."""
        return any(self._lists[name] for name in DROP_REASONS)

    def add(self, name: str, addresses: Iterable[str | Item]) -> None:
        """Put addresses on a list, or items with "email" and any of "created" and its details.

        Created is now where it is not said. Raises KeyError for an unknown list.
        """
        details = DETAILS[name]
        for each in addresses:
            item = {"email": each} if isinstance(each, str) else each
            address = item["email"].lower()
            # Taken out and put in again, an address is the newest of its second.
            self._lists[name].pop(address, None)
            created = {"created": int(time.time()), **details, **item}
            self._lists[name][address] = {**created, "email": address}

    def remove(self, name: str, addresses: Iterable[str] | None) -> list[str]:
        """Take addresses off a list, or all of them for None, and tell which were taken."""
        items = self._lists[name]
        wanted = list(items) if addresses is None else map(str.lower, addresses)
        return [address for address in wanted if items.pop(address, None)]

    def get(self, name: str, address: str) -> Item | None:
        return self._lists[name].get(address.lower())

    def select(self, name: str, selection: Selection) -> list[Item]:
        """The items of a list, the newest first."""
        found = [item for item in reversed(self._lists[name].values()) if selection.takes(item)]
        return sorted(found, key=lambda item: -item["created"])

    def drop_reason(self, address: str, mail_settings: dict[str, Any]) -> str | None:
        """Why SendGrid would drop mail to the address, or None where it would deliver."""
        bypassed = frozenset().union(*_bypassed(mail_settings))
        for name, reason in DROP_REASONS.items():
            if name not in bypassed and self.get(name, address):
                return reason
        return None


def _bypassed(mail_settings: dict[str, Any]) -> Iterator[frozenset[str]]:
    for setting, lists in BYPASSES.items():
        if mail_settings.get(setting, {}).get("enable"):
            yield lists
