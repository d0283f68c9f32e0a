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

A_DAY_TO_AN_ADDRESS = 1
A_MONTH_TO_AN_ADDRESS = 3
"""Confirmations; who confirms none of them is not asked a fourth time."""

AN_HOUR_FROM_A_NETWORK = 20
AN_HOUR_FROM_ITS_SURROUNDINGS = 200
AN_HOUR_TO_A_DOMAIN = 100
AN_HOUR_OF_THE_HOUSE = 600

OF_EVERYONE = frozenset(
    {
        *("gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "hotmail.co.uk", "live.com"),
        *("msn.com", "yahoo.com", "yahoo.co.uk", "ymail.com", "aol.com", "icloud.com", "me.com"),
        *("mac.com", "proton.me", "protonmail.com", "gmx.de", "gmx.net", "gmx.com", "web.de"),
        *("t-online.de", "orange.fr", "free.fr", "btinternet.com", "fastmail.com", "mail.com"),
    }
)
"""Where so many people have their mail that no share of sign-ups is unusual: the house's ceiling
holds for these."""


class Excess(StrEnum):
    """What so much came from, or would go to, that no more of it is mailed for now."""

    NETWORK = "network"
    SURROUNDINGS = "surroundings"
    DOMAIN = "domain"
    HOUSE = "house"


def find_excess(session: Session, canonical: str, network: str, *, now: datetime) -> Excess | None:
    """Count one more wish at a door, and say which ceiling it is beyond; None for none.

    `network` is a /24 or /48, as limits.network_of gives it. What is beyond one ceiling does not
    count for the next, so that one network cannot use up the house's.
    """
    domain = canonical.rpartition("@")[2]
    counted = [
        (Excess.NETWORK, network, AN_HOUR_FROM_A_NETWORK),
        (Excess.SURROUNDINGS, limits.surroundings_of(network), AN_HOUR_FROM_ITS_SURROUNDINGS),
        (Excess.DOMAIN, domain, AN_HOUR_TO_A_DOMAIN),
        (Excess.HOUSE, "", AN_HOUR_OF_THE_HOUSE),
    ]
    for what, who, most in counted:
        if what is Excess.DOMAIN and domain in OF_EVERYONE:
            continue
        if not limits.allow(session, f"door.{what}", who, most=most, per=HOUR, now=now):
            return what
    return None


def may_mail(session: Session, canonical: str, *, now: datetime) -> bool:
    """Count a mail to an address that somebody typed; False where it had one within the day."""
    return limits.allow(session, "door.day", canonical, most=A_DAY_TO_AN_ADDRESS, per=DAY, now=now)


def may_ask(session: Session, canonical: str, *, now: datetime) -> bool:
    """Count a confirmation to an address; False where it had three within thirty days."""
    return limits.allow(
        session, "door.month", canonical, most=A_MONTH_TO_AN_ADDRESS, per=MONTH, now=now
    )


def note_asked(session: Session, canonicals: Collection[str], *, now: datetime) -> None:
    """Count that these are mailed the question whether they want a list, without having asked."""
    limits.count_all(session, "door.day", canonicals, per=DAY, now=now)
    limits.count_all(session, "door.month", canonicals, per=MONTH, now=now)
