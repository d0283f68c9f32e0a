"""How other programs name their columns and states."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import lru_cache

INVISIBLE = ' \t\r\n\xa0\u200b\u200c\u200d\u2060\ufeff"'


class Kind(StrEnum):
    """What a file says about somebody."""

    SUBSCRIBED = "subscribed"
    PENDING = "pending"
    LEFT = "left"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


GRAVE = frozenset({Kind.LEFT, Kind.BOUNCED, Kind.COMPLAINED})

NAMES: Mapping[str, tuple[str, ...]] = {
    "email": (
        *("email", "email address", "e-mail", "e-mail address", "email_address", "address"),
        *("subscriber", "mail", "e-mail-adresse", "adresse e-mail", "correo electrónico"),
    ),
    "state": (
        *("state", "status", "subscribed_to_emails", "subscription_status", "subscriber_type"),
        *("type", "email status"),
    ),
    "since": (
        *("confirmed_at", "confirm_time", "optin_time", "subscribed_at", "subscribed at"),
        *("created_at", "creation_date", "start date", "subscription date", "created at"),
    ),
    "left": (
        *("left_at", "unsub_time", "unsubscribed_at", "unsubscription_date", "unsubscribed"),
        *("email_disabled", "unsubscribe date"),
    ),
    "bounced": ("clean_time", "bounced_at", "bounced", "undeliverable_at", "suppressed"),
}
"""The names of columns, in lower case; where a file has several, the first of these counts."""

VENDORS: Mapping[str, frozenset[str]] = {
    "Mailchimp": frozenset({"email address", "leid", "euid"}),
    "Ghost": frozenset({"email", "subscribed_to_emails"}),
    "Substack": frozenset({"email", "active_subscription", "email_disabled"}),
    "Substack ": frozenset({"email", "stripe plan", "start date"}),
    "Buttondown": frozenset({"email", "creation_date", "referrer_url"}),
    "listmonk": frozenset({"uuid", "email", "attributes", "status"}),
    "beehiiv": frozenset({"email", "status", "created_at", "subscription_tier"}),
    "beehiiv ": frozenset({"email", "status", "utm_source"}),
    "NIF": frozenset({"address", "state", "asked_at", "confirmed_at", "left_at"}),
}
"""Whose file it is, by columns that others' files have not."""

NO = frozenset({"", "0", "no", "n", "false", "f", "none", "null", "never", "-"})

STATES: Mapping[str, Kind] = {
    **dict.fromkeys(
        (
            *("subscribed", "active", "enabled", "confirmed", "true", "yes", "1", "regular"),
            *("premium", "gifted", "trialed", "churning", "churned", "past_due", "unpaid", "paid"),
            *("free", "comped", "paused"),
        ),
        Kind.SUBSCRIBED,
    ),
    **dict.fromkeys(
        ("pending", "unconfirmed", "unactivated", "validating", "upcoming"), Kind.PENDING
    ),
    **dict.fromkeys(
        (
            *("left", "unsubscribed", "inactive", "disabled", "false", "no", "0", "removed"),
            *("archived", "blocklisted", "blocked", "deleted", "non-subscribed", "nonsubscribed"),
        ),
        Kind.LEFT,
    ),
    **dict.fromkeys(
        ("bounced", "cleaned", "undeliverable", "invalid", "hard_bounced"), Kind.BOUNCED
    ),
    **dict.fromkeys(("complained", "spam", "spammy", "abuse", "spam_report"), Kind.COMPLAINED),
}

CLEAR = frozenset(
    {
        *("subscribed", "unsubscribed", "non-subscribed", "unconfirmed", "pending"),
        *("cleaned", "bounced", "complained"),
    }
)
"""Words that tell a column of states by themselves, whatever its name."""


def vendor_of(header: Sequence[str]) -> str | None:
    """Whose export has such a header, where it is known."""
    names = {plain(name) for name in header}
    found = next((vendor for vendor, marks in VENDORS.items() if marks <= names), None)
    return found.strip() if found else None


@lru_cache(1000)
def state_of(word: str) -> Kind | None:
    """What a state means, where we know the word."""
    return STATES.get(plain(word))


def plain(name: str) -> str:
    """A name or a word as it is looked up."""
    return name.strip(INVISIBLE).lower()
