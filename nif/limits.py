"""How often one may ask: counted in the database, so that it holds across processes."""

import hashlib
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from ipaddress import IPv4Address, ip_address, ip_network

from sqlalchemy import String, case, delete
from sqlalchemy.orm import Mapped, Session, mapped_column

from nif.database import Base, conflict_aware_insert


class RateLimitCount(Base):
    """How often `key` was counted since `began_at`."""

    __tablename__ = "tally"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    began_at: Mapped[datetime] = mapped_column(index=True)
    count: Mapped[int]


def allow_attempt(
    session: Session, what: str, who: str, *, most: int, per: timedelta, now: datetime
) -> bool:
    """Count one more `what` by `who`; say whether that is at most `most` within a window `per`.

    The window is fixed and begins with the first count. `who` is kept as a hash only.
    """
    key = _hash_key(what, who)
    over = RateLimitCount.began_at <= now - per
    count = session.scalar(
        conflict_aware_insert(session, RateLimitCount)
        .values(key=key, began_at=now, count=1)
        .on_conflict_do_update(
            index_elements=[RateLimitCount.key],
            set_={
                "count": case((over, 1), else_=RateLimitCount.count + 1),
                "began_at": case((over, now), else_=RateLimitCount.began_at),
            },
        )
        .returning(RateLimitCount.count)
    )
    return count is not None and count <= most


def count_attempts(
    session: Session, what: str, whos: Collection[str], *, per: timedelta, now: datetime
) -> None:
    """Count one more `what` by each of `whos`, whatever they are allowed: it has happened."""
    over = RateLimitCount.began_at <= now - per
    # In one order, so that two who do this at once cannot wait for each other.
    rows = [
        {"key": key, "began_at": now, "count": 1}
        for key in sorted({_hash_key(what, who) for who in whos})
    ]
    if rows:
        session.execute(
            conflict_aware_insert(session, RateLimitCount).on_conflict_do_update(
                index_elements=[RateLimitCount.key],
                set_={
                    "count": case((over, 1), else_=RateLimitCount.count + 1),
                    "began_at": case((over, now), else_=RateLimitCount.began_at),
                },
            ),
            rows,
        )


def delete_attempts_of(session: Session, asked: Iterable[tuple[str, str]]) -> None:
    """Drop the tallies of these pairs of `what` and `who`."""
    keys = [_hash_key(what, who) for what, who in asked]
    session.execute(delete(RateLimitCount).where(RateLimitCount.key.in_(keys)))


def _hash_key(what: str, who: str) -> str:
    return hashlib.sha256(f"{what}\0{who}".encode()).hexdigest()


def delete_attempts_before(session: Session, *, before: datetime) -> None:
    """Drop the tallies whose window began before `before`."""
    session.execute(delete(RateLimitCount).where(RateLimitCount.began_at < before))


def network_of(address: str) -> str:
    """The network that an address is counted under: its /24 (IPv4) or /48 (IPv6)."""
    try:
        ip = ip_address(address)
    except ValueError:
        return "unknown"
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return str(ip_network((ip, 24 if isinstance(ip, IPv4Address) else 48), strict=False))


def wider_network_of(network: str) -> str:
    """What a network of `network_of` lies in: a /16 (IPv4) or a /32 (IPv6)."""
    try:
        inner = ip_network(network)
    except ValueError:
        return network
    return str(inner.supernet(new_prefix=16 if inner.version == 4 else 32))
