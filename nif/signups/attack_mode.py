"""The attack mode: it makes forms ask for proof of work, and switches itself on and off.

Sign-ups are counted in slots of five minutes. More than 100 within ten minutes, and more than eight
times the usual rate of the week before, are an attack; so are more than 50 held ones, by the same
factor. The attack is over when half an hour brought less than half of that.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from nif.database import add_counts, lock_row
from nif.signups.models import AttackMode, SignupCount

SLOT = timedelta(minutes=5)
RECENT = timedelta(minutes=10)
CALM = timedelta(minutes=30)
WEEK = timedelta(days=7)
KEEP_COUNTS = timedelta(days=8)

ATTACK_SIGNUPS, ATTACK_HELD = 100, 50
ATTACK_FACTOR = 8
_ONLY_ROW = 1


class SignupRate(NamedTuple):
    """Sign-ups within ten minutes."""

    received: float
    held: float


def count_signup(session: Session, *, held: bool, now: datetime) -> None:
    slot = now - timedelta(seconds=now.timestamp() % SLOT.total_seconds())
    add_counts(session, SignupCount, [{"slot": slot, "received": 1, "held": int(held)}])


def average_signup_rate(session: Session, *, since: datetime, until: datetime) -> SignupRate:
    """The average number of sign-ups in ten minutes of a period."""
    sums = select(func.sum(SignupCount.received), func.sum(SignupCount.held))
    is_within = (SignupCount.slot > since) & (SignupCount.slot <= until)
    received, held = session.execute(sums.where(is_within)).one()
    intervals = (until - since) / RECENT
    return SignupRate((received or 0) / intervals, (held or 0) / intervals)


def delete_old_signup_counts(session: Session, *, now: datetime) -> None:
    session.execute(delete(SignupCount).where(SignupCount.slot < now - KEEP_COUNTS))


def find_active_attack_mode(session: Session, *, now: datetime) -> AttackMode | None:
    mode = find_attack_mode(session)
    return mode if mode is not None and _is_on(mode, now) else None


def find_attack_mode(session: Session) -> AttackMode | None:
    """The attack mode, on or off; None where it was never set."""
    return session.get(AttackMode, _ONLY_ROW)


def update_attack_mode(session: Session, *, now: datetime) -> AttackMode | None:
    """Switch the attack mode on or off by the rate of sign-ups; returns it if it went on now."""
    mode = _lock_attack_mode(session)
    if _is_on(mode, now):
        if mode.until is None and _is_over(session, mode.since or now, now):
            mode.since = None
        return None
    mode.since = mode.until = None
    is_kept_off = mode.off_until is not None and mode.off_until > now
    reason = None if is_kept_off else _describe_attack(session, now)
    if reason is None:
        return None
    mode.since, mode.off_until, mode.reason = now, None, reason
    return mode


def enable_attack_mode(session: Session, *, until: datetime, who: str, now: datetime) -> None:
    """Switch it on until a moment, for the person called `who`."""
    mode = _lock_attack_mode(session)
    mode.since = mode.since if _is_on(mode, now) and mode.since else now
    mode.until, mode.off_until = until, None
    mode.reason = f"{who} switched it on."


def disable_attack_mode(session: Session, *, until: datetime) -> None:
    """Switch it off for a person; it does not switch itself on before `until`."""
    mode = _lock_attack_mode(session)
    mode.since, mode.until, mode.off_until = None, None, until


def automate_attack_mode(session: Session) -> None:
    """Have it switch itself on and off from now on."""
    mode = _lock_attack_mode(session)
    mode.until = mode.off_until = None


def _is_on(mode: AttackMode, now: datetime) -> bool:
    return mode.since is not None and (mode.until is None or mode.until > now)


def _attack_threshold(session: Session, before: datetime) -> SignupRate:
    """The rate above which sign-ups are an attack, by the usual rate of the week before."""
    usual = average_signup_rate(session, since=before - WEEK, until=before - RECENT)
    return SignupRate(
        max(ATTACK_SIGNUPS, ATTACK_FACTOR * usual.received),
        max(ATTACK_HELD, ATTACK_FACTOR * usual.held),
    )


def _describe_attack(session: Session, now: datetime) -> str | None:
    """Why the recent sign-ups are an attack; None where they are not."""
    recent = average_signup_rate(session, since=now - RECENT, until=now)
    threshold = _attack_threshold(session, now)
    if recent.received > threshold.received:
        return f"{recent.received:,.0f} sign-ups came in within ten minutes."
    if recent.held > threshold.held:
        return f"{recent.held:,.0f} sign-ups within ten minutes had to be held."
    return None


def _is_over(session: Session, since: datetime, now: datetime) -> bool:
    if now - since < CALM:
        return False
    recent = average_signup_rate(session, since=now - CALM, until=now)
    threshold = _attack_threshold(session, since)
    return recent.received < threshold.received / 2 and recent.held < threshold.held / 2


def _lock_attack_mode(session: Session) -> AttackMode:
    return lock_row(session, AttackMode, _ONLY_ROW, id=_ONLY_ROW, reason="")
