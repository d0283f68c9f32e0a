"""Rate limits, counted in the database, so that they hold across processes.

The person who types an address into a public form does not always own it. So all forms share limits
of how much mail they may cause: sign-ups are counted by network, by domain and for the whole site;
mails are counted by address, one a day whatever was asked for and however often.
"""

import hashlib
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

from sqlalchemy import String, case, delete, or_
from sqlalchemy.orm import Mapped, Session, mapped_column

from nif.clock import LARGEST_SKEW
from nif.database import Base, conflict_aware_insert


class RateLimitCount(Base):
    """How many attempts were counted under `key` since `window_started_at`."""

    __tablename__ = "rate_limit"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    window_started_at: Mapped[datetime] = mapped_column(index=True)
    attempts: Mapped[int]


def allow_attempt(
    session: Session, action: str, subject: str, *, most: int, per: timedelta, now: datetime
) -> bool:
    """Count an attempt at `action` by `subject`; True while they are within `most` in `per`.

    The window is fixed and begins with the first attempt. `subject`, such as an address or a
    network, is stored as a hash only.
    """
    attempts = session.scalar(
        _upsert_counts(session, per, now)
        .values(key=_hash_key(action, subject), window_started_at=now, attempts=1)
        .returning(RateLimitCount.attempts)
    )
    return attempts is not None and attempts <= most


def count_attempts(
    session: Session, action: str, subjects: Collection[str], *, per: timedelta, now: datetime
) -> None:
    """Count an attempt at `action` by each of `subjects`, whatever their limit: it has happened."""
    # The keys are sorted, so that two transactions that count the same ones cannot deadlock.
    rows = [
        {"key": key, "window_started_at": now, "attempts": 1}
        for key in sorted({_hash_key(action, subject) for subject in subjects})
    ]
    if rows:
        session.execute(_upsert_counts(session, per, now), rows)


def _upsert_counts(session: Session, per: timedelta, now: datetime) -> Any:
    is_over = RateLimitCount.window_started_at <= now - per
    # It began by a clock that was ahead. Its attempts count on, but no longer than `per` from now.
    is_ahead = RateLimitCount.window_started_at > now + LARGEST_SKEW
    return conflict_aware_insert(session, RateLimitCount).on_conflict_do_update(
        index_elements=[RateLimitCount.key],
        set_={
            "attempts": case((is_over, 1), else_=RateLimitCount.attempts + 1),
            "window_started_at": case(
                (or_(is_over, is_ahead), now), else_=RateLimitCount.window_started_at
            ),
        },
    )


def delete_attempts_of(session: Session, pairs: Iterable[tuple[str, str]]) -> None:
    """Delete the counts of these pairs of action and subject."""
    keys = [_hash_key(action, subject) for action, subject in pairs]
    session.execute(delete(RateLimitCount).where(RateLimitCount.key.in_(keys)))


def _hash_key(action: str, subject: str) -> str:
    return hashlib.sha256(f"{action}\0{subject}".encode()).hexdigest()


def network_of(address: str) -> str:
    """The network that an IP address is counted under: its /24 (IPv4) or /48 (IPv6)."""
    try:
        ip = ip_address(address)
    except ValueError:
        return "unknown"
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return str(ip_network((ip, 24 if isinstance(ip, IPv4Address) else 48), strict=False))


def wider_network_of(network: str) -> str:
    """The /16 (IPv4) or /32 (IPv6) around a network that `network_of` returned."""
    try:
        inner = ip_network(network)
    except ValueError:
        return network
    return str(inner.supernet(new_prefix=16 if inner.version == 4 else 32))


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

    `network` is a /24 or /48, as network_of returns it. A sign-up that exceeds one limit is
    not counted for the following ones, so that one network cannot use up the limit of the site.
    """
    domain = canonical.rpartition("@")[2]
    wider_network = wider_network_of(network)
    for limit, key, most in (
        ("network", network, SIGNUPS_PER_NETWORK_AN_HOUR),
        ("wider_network", wider_network, SIGNUPS_PER_WIDER_NETWORK_AN_HOUR),
        ("domain", domain, SIGNUPS_PER_DOMAIN_AN_HOUR),
        ("site", "", SIGNUPS_PER_SITE_AN_HOUR),
    ):
        if limit == "domain" and domain in MAILBOX_PROVIDERS:
            continue
        if not allow_attempt(session, f"signup.{limit}", key, most=most, per=HOUR, now=now):
            return limit
    return None


def allow_mail(session: Session, canonical: str, *, now: datetime) -> bool:
    """Count a mail to an address that somebody typed; False where it had one within a day."""
    return allow_attempt(
        session, MAIL_LIMIT, canonical, most=MAILS_PER_ADDRESS_A_DAY, per=DAY, now=now
    )


def allow_confirmation(session: Session, canonical: str, *, now: datetime) -> bool:
    """Count a confirmation mail to an address; False where it had three within thirty days."""
    most = CONFIRMATIONS_PER_ADDRESS_A_MONTH
    return allow_attempt(session, CONFIRMATION_LIMIT, canonical, most=most, per=MONTH, now=now)


def count_repermission_mails(
    session: Session, canonicals: Collection[str], *, now: datetime
) -> None:
    """Count re-permission mails, which their recipients did not ask for, against both limits."""
    count_attempts(session, MAIL_LIMIT, canonicals, per=DAY, now=now)
    count_attempts(session, CONFIRMATION_LIMIT, canonicals, per=MONTH, now=now)
