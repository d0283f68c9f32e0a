"""Rate limits, counted in the database, so that they hold across processes."""

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
