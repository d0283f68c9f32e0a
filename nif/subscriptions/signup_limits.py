"""The one budget for mail to addresses that somebody typed, whichever door it was typed at.

Whoever types an address into a form is not always who reads there. So what a door takes in counts
for the network, the domain and the house that it came from and would go to, and what is mailed
counts for the address: one mail a day, whatever was asked for and however often.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy.orm import Session

from nif import limits

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MONTH = 30 * DAY

MAILS_PER_ADDRESS_A_DAY = 1
CONFIRMATIONS_PER_ADDRESS_A_MONTH = 3
"""Confirmations; who confirms none of them is not asked a fourth time."""

SIGNUPS_PER_NETWORK_AN_HOUR = 20
SIGNUPS_PER_WIDER_NETWORK_AN_HOUR = 200
SIGNUPS_PER_DOMAIN_AN_HOUR = 100
SIGNUPS_PER_SITE_AN_HOUR = 600

MAILBOX_PROVIDERS = frozenset(
    {
        *("gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "hotmail.co.uk", "live.com"),
        *("msn.com", "yahoo.com", "yahoo.co.uk", "ymail.com", "aol.com", "icloud.com", "me.com"),
        *("mac.com", "proton.me", "protonmail.com", "gmx.de", "gmx.net", "gmx.com", "web.de"),
        *("t-online.de", "orange.fr", "free.fr", "btinternet.com", "fastmail.com", "mail.com"),
    }
)
"""Where so many people have their mail that no share of sign-ups is unusual: the house's ceiling
holds for these."""


class SignupLimit(StrEnum):
    """What so much came from, or would go to, that no more of it is mailed for now."""

    NETWORK = "network"
    SURROUNDINGS = "surroundings"
    DOMAIN = "domain"
    HOUSE = "house"


def find_exceeded_limit(
    session: Session, canonical: str, network: str, *, now: datetime
) -> SignupLimit | None:
    """Count one more wish at a door, and say which ceiling it is beyond; None for none.

    `network` is a /24 or /48, as limits.network_of gives it. What is beyond one ceiling does not
    count for the next, so that one network cannot use up the house's.
    """
    domain = canonical.rpartition("@")[2]
    counted = [
        (SignupLimit.NETWORK, network, SIGNUPS_PER_NETWORK_AN_HOUR),
        (
            SignupLimit.SURROUNDINGS,
            limits.wider_network_of(network),
            SIGNUPS_PER_WIDER_NETWORK_AN_HOUR,
        ),
        (SignupLimit.DOMAIN, domain, SIGNUPS_PER_DOMAIN_AN_HOUR),
        (SignupLimit.HOUSE, "", SIGNUPS_PER_SITE_AN_HOUR),
    ]
    for what, who, most in counted:
        if what is SignupLimit.DOMAIN and domain in MAILBOX_PROVIDERS:
            continue
        if not limits.allow_attempt(session, f"door.{what}", who, most=most, per=HOUR, now=now):
            return what
    return None


def allow_mail(session: Session, canonical: str, *, now: datetime) -> bool:
    """Count a mail to an address that somebody typed; False where it had one within the day."""
    return limits.allow_attempt(
        session, "door.day", canonical, most=MAILS_PER_ADDRESS_A_DAY, per=DAY, now=now
    )


def allow_confirmation(session: Session, canonical: str, *, now: datetime) -> bool:
    """Count a confirmation to an address; False where it had three within thirty days."""
    return limits.allow_attempt(
        session, "door.month", canonical, most=CONFIRMATIONS_PER_ADDRESS_A_MONTH, per=MONTH, now=now
    )


def count_repermission_mails(
    session: Session, canonicals: Collection[str], *, now: datetime
) -> None:
    """Count that these are mailed the question whether they want a list, without having asked."""
    limits.count_attempts(session, "door.day", canonicals, per=DAY, now=now)
    limits.count_attempts(session, "door.month", canonicals, per=MONTH, now=now)
