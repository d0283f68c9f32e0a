"""Watching how many sign-ups come in: the attack mode, which switches itself on and off.

Five minutes are one slot. More than a hundred sign-ups within ten minutes, and more than eight
times what was usual in the week before, are an attack; so are fifty that had to be held. It is
over when for half an hour less than half of that came in.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from nif.database import conflict_aware_insert
from nif.signups.models import AttackMode, SignupCount

SLOT = timedelta(minutes=5)
RECENT = timedelta(minutes=10)
CALM = timedelta(minutes=30)
WEEK = timedelta(days=7)
KEEP_COUNTS = timedelta(days=8)

ATTACK_SIGNUPS, ATTACK_HELD = 100, 50
ATTACK_FACTOR = 8
_ONLY_ROW = 1


@dataclass(frozen=True)
class SignupRate:
    """Sign-ups within ten minutes."""

    asked: float
    held: float


def count_signup(session: Session, *, held: bool, now: datetime) -> None:
    """Count one more sign-up."""
    slot = now - timedelta(seconds=now.timestamp() % SLOT.total_seconds())
    session.execute(
        conflict_aware_insert(session, SignupCount)
        .values(slot=slot, asked=1, held=int(held))
        .on_conflict_do_update(
            index_elements=[SignupCount.slot],
            set_={"asked": SignupCount.asked + 1, "held": SignupCount.held + int(held)},
        )
    )


def find_active_attack_mode(session: Session, *, now: datetime) -> AttackMode | None:
    """The attack mode where it is on; None in calm."""
    mode = session.get(AttackMode, _ONLY_ROW)
    return mode if mode is not None and _is_on(mode, now) else None


def find_attack_mode(session: Session) -> AttackMode | None:
    """What was last decided, whether it is on or off; None where nothing ever was."""
    return session.get(AttackMode, _ONLY_ROW)


def update_attack_mode(session: Session, *, now: datetime) -> bool:
    """Switch the attack mode on or off, as the sign-ups are; True where it has just gone on."""
    mode = _lock_attack_mode(session)
    if _is_on(mode, now):
        if mode.until is None and _is_over(session, mode.since or now, now):
            mode.since = None
        return False
    mode.since = mode.until = None
    if mode.off_until is not None and mode.off_until > now:
        return False
    why = _describe_attack(session, now)
    if why is None:
        return False
    mode.since, mode.off_until, mode.why = now, None, why
    return True


def enable_attack_mode(session: Session, *, until: datetime, who: str, now: datetime) -> None:
    """A person asks for proof for a time, whatever the sign-ups are like."""
    mode = _lock_attack_mode(session)
    mode.since = mode.since if _is_on(mode, now) and mode.since else now
    mode.until, mode.off_until = until, None
    mode.why = f"{who} switched it on."


def disable_attack_mode(session: Session, *, until: datetime) -> None:
    """A person asks for no proof; until then the mode does not switch itself on again."""
    mode = _lock_attack_mode(session)
    mode.since, mode.until, mode.off_until = None, None, until


def automate_attack_mode(session: Session) -> None:
    """From here on the mode switches itself, on and off."""
    mode = _lock_attack_mode(session)
    mode.until = mode.off_until = None


def average_signup_rate(session: Session, *, since: datetime, until: datetime) -> SignupRate:
    """Sign-ups for each ten minutes of a time, on average."""
    asked, held = session.execute(
        select(func.sum(SignupCount.asked), func.sum(SignupCount.held)).where(
            SignupCount.slot > since, SignupCount.slot <= until
        )
    ).one()
    spans = (until - since) / RECENT
    return SignupRate((asked or 0) / spans, (held or 0) / spans)


def delete_old_signup_counts(session: Session, *, now: datetime) -> None:
    session.execute(delete(SignupCount).where(SignupCount.slot < now - KEEP_COUNTS))


def _is_on(mode: AttackMode, now: datetime) -> bool:
    return mode.since is not None and (mode.until is None or mode.until > now)


def _attack_threshold(session: Session, before: datetime) -> SignupRate:
    """What is an attack, measured by the week before."""
    usual = average_signup_rate(session, since=before - WEEK, until=before - RECENT)
    return SignupRate(
        max(ATTACK_SIGNUPS, ATTACK_FACTOR * usual.asked),
        max(ATTACK_HELD, ATTACK_FACTOR * usual.held),
    )


def _describe_attack(session: Session, now: datetime) -> str | None:
    recent, most = (
        average_signup_rate(session, since=now - RECENT, until=now),
        _attack_threshold(session, now),
    )
    if recent.asked > most.asked:
        return f"{recent.asked:,.0f} sign-ups came in within ten minutes."
    if recent.held > most.held:
        return f"{recent.held:,.0f} sign-ups within ten minutes had to be held."
    return None


def _is_over(session: Session, since: datetime, now: datetime) -> bool:
    if now - since < CALM:
        return False
    last, most = (
        average_signup_rate(session, since=now - CALM, until=now),
        _attack_threshold(session, since),
    )
    return last.asked < most.asked / 2 and last.held < most.held / 2


def _lock_attack_mode(session: Session) -> AttackMode:
    """The one row, locked; made where there is none."""
    session.execute(
        conflict_aware_insert(session, AttackMode)
        .values(id=_ONLY_ROW, why="")
        .on_conflict_do_nothing()
    )
    return session.get_one(AttackMode, _ONLY_ROW, with_for_update=True, populate_existing=True)
