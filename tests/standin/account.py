"""The SendGrid account that the stand-in plays: keys, senders, credits and suppressions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.standin.suppressions import Suppressions

API_KEY = "SG.standin"
SCOPES = frozenset(
    {
        "mail.send",
        "mail.batch.create",
        "mail.batch.read",
        "user.scheduled_sends.create",
        "user.scheduled_sends.read",
        "user.scheduled_sends.update",
        "user.scheduled_sends.delete",
        "suppression.create",
        "suppression.read",
        "suppression.delete",
        "user.webhooks.event.settings.read",
    }
)


@dataclass
class Account:
    """Everything that a test can flip by posting its name to /_standin/account.

    `credits` is the number of messages left, None for no limit. `confirmed` are the addresses
    that may be mailed, None for any. `ramp` is the most recipients in `ramp_seconds`. `told` are
    suppressed addresses whose event the webhook has acknowledged.

    At most `most_cancelled` batches can have a status at once. A status that comes less than
    `cancel_margin` seconds before send_at works with the probability `late_cancel_works`. Mail
    that is paused expires `pause_seconds` after its send_at.
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
    most_cancelled: int = 10
    cancel_margin: float = 600.0
    late_cancel_works: float = 0.0
    pause_seconds: float = 72 * 3600.0
    suppressions: Suppressions = field(default_factory=Suppressions)
    told: set[str] = field(default_factory=set)

    def change(self, state: dict[str, Any]) -> None:
        """Take over named values; `suppress` maps a list's name to what Suppressions.add() takes.

        Raises KeyError for a name that the account does not have.
        """
        for name, value in state.items():
            if name == "suppress":
                for suppression, addresses in value.items():
                    self.suppressions.add(suppression, addresses)
            elif name == "keys":
                self.keys = {key: frozenset(scopes) for key, scopes in value.items()}
            elif name in self.__dataclass_fields__:
                holds_a_set = isinstance(getattr(self, name), set) or name == "confirmed"
                is_a_set = holds_a_set and value is not None
                setattr(self, name, set(value) if is_a_set else value)
            else:
                raise KeyError(name)

    def unsuppress(self, name: str, addresses: list[str] | None) -> None:
        """Take addresses off a list, or all for None. On no other list, mail reaches them again."""
        for address in self.suppressions.remove(name, addresses):
            if not self.suppressions.drop_reason(address, {}):
                self.told.discard(address)

    def spend(self, recipients: int) -> None:
        if self.credits is not None:
            self.credits -= recipients
