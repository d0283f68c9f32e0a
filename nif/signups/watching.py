"""Watching how many sign-ups come in: the attack mode, which switches itself on and off.

Five minutes are one slot. More than a hundred sign-ups within ten minutes, and more than eight
times what was usual in the week before, are an attack; so are fifty that had to be held. It is
over when for half an hour less than half of that came in.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.signups.models import AttackMode, SignUpRate

SLOT = timedelta(minutes=5)
RECENT = timedelta(minutes=10)
CALM = timedelta(minutes=30)
WEEK = timedelta(days=7)
KEEP = timedelta(days=8)

MANY_ASKED, MANY_HELD = 100, 50
TIMES_THE_USUAL = 8
_THE_ONE = 1


@dataclass(frozen=True)
class Rate:
    """Sign-ups within ten minutes."""

    asked: float
    held: float


def count(session: Session, *, held: bool, now: datetime) -> None:
    """Count one more sign-up."""
    slot = now - timedelta(seconds=now.timestamp() % SLOT.total_seconds())
    session.execute(
        insert_into(session, SignUpRate)
        .values(slot=slot, asked=1, held=int(held))
        .on_conflict_do_update(
            index_elements=[SignUpRate.slot],
            set_={"asked": SignUpRate.asked + 1, "held": SignUpRate.held + int(held)},
        )
    )


def find_attack(session: Session, *, now: datetime) -> AttackMode | None:
    """The attack mode where it is on; None in calm."""
    mode = session.get(AttackMode, _THE_ONE)
    return mode if mode is not None and _is_on(mode, now) else None


def find_mode(session: Session) -> AttackMode | None:
    """What was last decided, whether it is on or off; None where nothing ever was."""
    return session.get(AttackMode, _THE_ONE)


def look(session: Session, *, now: datetime) -> bool:
    """Switch the attack mode on or off, as the sign-ups are; True where it has just gone on."""
    mode = _mode(session)
    if _is_on(mode, now):
        if mode.until is None and _is_over(session, mode.since or now, now):
            mode.since = None
        return False
    mode.since = mode.until = None
    if mode.off_until is not None and mode.off_until > now:
        return False
    why = _alarm(session, now)
    if why is None:
        return False
    mode.since, mode.off_until, mode.why = now, None, why
    return True


def switch_on(session: Session, *, until: datetime, who: str, now: datetime) -> None:
    """A person asks for proof for a time, whatever the sign-ups are like."""
    mode = _mode(session)
    mode.since = mode.since if _is_on(mode, now) and mode.since else now
    mode.until, mode.off_until = until, None
    mode.why = f"{who} switched it on."


def switch_off(session: Session, *, until: datetime) -> None:
    """A person asks for no proof; until then the mode does not switch itself on again."""
    mode = _mode(session)
    mode.since, mode.until, mode.off_until = None, None, until


def leave_alone(session: Session) -> None:
    """From here on the mode switches itself, on and off."""
    mode = _mode(session)
    mode.until = mode.off_until = None


def rate(session: Session, *, since: datetime, until: datetime) -> Rate:
    """Sign-ups for each ten minutes of a time, on average."""
    asked, held = session.execute(
        select(func.sum(SignUpRate.asked), func.sum(SignUpRate.held)).where(
            SignUpRate.slot > since, SignUpRate.slot <= until
        )
    ).one()
    spans = (until - since) / RECENT
    return Rate((asked or 0) / spans, (held or 0) / spans)


def forget(session: Session, *, now: datetime) -> None:
    session.execute(delete(SignUpRate).where(SignUpRate.slot < now - KEEP))


def _is_on(mode: AttackMode, now: datetime) -> bool:
    return mode.since is not None and (mode.until is None or mode.until > now)


def _too_much(session: Session, before: datetime) -> Rate:
    """What is an attack, measured by the week before."""
    usual = rate(session, since=before - WEEK, until=before - RECENT)
    return Rate(
        max(MANY_ASKED, TIMES_THE_USUAL * usual.asked), max(MANY_HELD, TIMES_THE_USUAL * usual.held)
    )


def _alarm(session: Session, now: datetime) -> str | None:
    recent, most = rate(session, since=now - RECENT, until=now), _too_much(session, now)
    if recent.asked > most.asked:
        return f"{recent.asked:,.0f} sign-ups came in within ten minutes."
    if recent.held > most.held:
        return f"{recent.held:,.0f} sign-ups within ten minutes had to be held."
    return None


def _is_over(session: Session, since: datetime, now: datetime) -> bool:
    if now - since < CALM:
        return False
    last, most = rate(session, since=now - CALM, until=now), _too_much(session, since)
    return last.asked < most.asked / 2 and last.held < most.held / 2


def _mode(session: Session) -> AttackMode:
    """The one row, locked; made where there is none."""
    session.execute(
        insert_into(session, AttackMode).values(id=_THE_ONE, why="").on_conflict_do_nothing()
    )
    return session.get_one(AttackMode, _THE_ONE, with_for_update=True, populate_existing=True)
