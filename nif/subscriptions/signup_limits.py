"""How much mail the public forms may cause to addresses that somebody typed.

The person who types an address does not always own it. So all forms share these limits: sign-ups
are counted by network, by domain and for the whole site; mails are counted by address, one a day
whatever was asked for and however often.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from nif import limits

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MONTH = 30 * DAY

MAILS_PER_ADDRESS_A_DAY = 1
CONFIRMATIONS_PER_ADDRESS_A_MONTH = 3
"""An address whose owner confirms none of them gets no fourth."""

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
"""Domains with so many users that any share of the sign-ups is normal. The limit by domain does not
apply to them; the limit of the site does."""

MAIL_LIMIT, CONFIRMATION_LIMIT = "mail.day", "confirmation.month"


def find_exceeded_limit(
    session: Session, canonical: str, network: str, *, now: datetime
) -> str | None:
    """Count one more sign-up and return the name of the limit that it exceeds, if any.

    `network` is a /24 or /48, as limits.network_of returns it. A sign-up that exceeds one limit is
    not counted for the following ones, so that one network cannot use up the limit of the site.
    """
    domain = canonical.rpartition("@")[2]
    wider_network = limits.wider_network_of(network)
    for limit, key, most in (
        ("network", network, SIGNUPS_PER_NETWORK_AN_HOUR),
        ("wider_network", wider_network, SIGNUPS_PER_WIDER_NETWORK_AN_HOUR),
        ("domain", domain, SIGNUPS_PER_DOMAIN_AN_HOUR),
        ("site", "", SIGNUPS_PER_SITE_AN_HOUR),
    ):
        if limit == "domain" and domain in MAILBOX_PROVIDERS:
            continue
        if not limits.allow_attempt(session, f"signup.{limit}", key, most=most, per=HOUR, now=now):
            return limit
    return None


def allow_mail(session: Session, canonical: str, *, now: datetime) -> bool:
    """Count a mail to an address that somebody typed; False where it had one within a day."""
    return limits.allow_attempt(
        session, MAIL_LIMIT, canonical, most=MAILS_PER_ADDRESS_A_DAY, per=DAY, now=now
    )


def allow_confirmation(session: Session, canonical: str, *, now: datetime) -> bool:
    """Count a confirmation mail to an address; False where it had three within thirty days."""
    most = CONFIRMATIONS_PER_ADDRESS_A_MONTH
    return limits.allow_attempt(
        session, CONFIRMATION_LIMIT, canonical, most=most, per=MONTH, now=now
    )


def count_repermission_mails(
    session: Session, canonicals: Collection[str], *, now: datetime
) -> None:
    """Count re-permission mails, which their recipients did not ask for, against both limits."""
    limits.count_attempts(session, MAIL_LIMIT, canonicals, per=DAY, now=now)
    limits.count_attempts(session, CONFIRMATION_LIMIT, canonicals, per=MONTH, now=now)
