"""The SendGrid account that the stand-in plays: keys, senders, credits and suppressions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

API_KEY = "SG.standin"
SCOPES = frozenset({"mail.send", "suppression.read", "user.webhooks.event.settings.read"})
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


@dataclass
class Account:
    """Everything that a test can flip by posting its name to /_standin/account.

    `credits` is the number of messages left, None for no limit. `confirmed` are the addresses
    that may be mailed, None for any. `ramp` is the most recipients in `ramp_seconds`. `told` are
    suppressed addresses whose event the webhook has acknowledged.
    """

    keys: dict[str, frozenset[str]] = field(default_factory=lambda: {API_KEY: SCOPES})
    key_revoked: bool = False
    credits: int | None = None
    sender_domains: set[str] = field(
        default_factory=lambda: {"example.com", "newindustryfocus.com"}
    )
    gzip: bool = False
    cross_dup: str = "refuse"
    asm_groups: set[int] = field(default_factory=set)
    ip_pools: set[str] = field(default_factory=set)
    batch_ids: set[str] = field(default_factory=set)
    templates: set[str] = field(default_factory=set)
    confirmed: set[str] | None = None
    postal_address: str | None = None
    ramp: int | None = None
    ramp_seconds: float = 3600.0
    suppressions: dict[str, str] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    def change(self, state: dict[str, Any]) -> None:
        """Take over named values; `suppress` maps a list's name to the addresses to add to it.

        Raises KeyError for a name that the account does not have.
        """
        for name, value in state.items():
            if name == "suppress":
                for suppression, addresses in value.items():
                    self.suppress(addresses, suppression)
            elif name == "keys":
                self.keys = {key: frozenset(scopes) for key, scopes in value.items()}
            elif name in self.__dataclass_fields__:
                holds_a_set = isinstance(getattr(self, name), set) or name == "confirmed"
                is_a_set = holds_a_set and value is not None
                setattr(self, name, set(value) if is_a_set else value)
            else:
                raise KeyError(name)

    def suppress(self, addresses: Iterable[str], suppression: str) -> None:
        """Put addresses on one of the lists in DROP_REASONS; the first list wins."""
        if suppression not in DROP_REASONS:
            raise KeyError(suppression)
        for address in addresses:
            self.suppressions.setdefault(address.lower(), suppression)

    def drop_reason(self, address: str, mail_settings: dict[str, Any]) -> str | None:
        """Why SendGrid would drop mail to the address, or None where it would deliver."""
        suppression = self.suppressions.get(address.lower())
        if suppression is None:
            return None
        for setting, lists in BYPASSES.items():
            if suppression in lists and mail_settings.get(setting, {}).get("enable"):
                return None
        return DROP_REASONS[suppression]

    def spend(self, recipients: int) -> None:
        if self.credits is not None:
            self.credits -= recipients
