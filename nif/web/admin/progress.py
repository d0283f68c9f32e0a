"""How far a send is: figures, an estimate where there is an honest one, and what changes a page."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.parts import Parts
from nif.sends import braking, certifying
from nif.sends.certifying import Tally
from nif.sends.models import Attempt, Send, SendState
from nif.sends.pacing import Limits
from nif.sends.reading import Pace, pace
from nif.web.admin import words

GOING = (SendState.SENDING, SendState.PAUSED)


@dataclass(frozen=True)
class Progress:
    """A send as it is now. `phase` changes when more than the figures of its page has changed.

    `starts` is when it begins, on its list's clock, while that is to come; `untouched` says that
    nothing has been posted of it, so that it can be taken back.
    """

    send: Send
    tally: Tally
    state: str
    pace: Pace | None
    limits: list[str]
    starts: str | None
    untouched: bool
    phase: str

    @property
    def is_posting(self) -> bool:
        """Is more going out just now, so that an estimate is expected?"""
        return self.state == "Sending" and self.tally.pending > 0


def look(session: Session, send: Send, parts: Parts, *, now: datetime) -> Progress:
    """Cheap enough to be asked for every few seconds by everyone who watches."""
    told = certifying.tally(session, send)
    brake = braking.find_brake(session)
    state = words.state(send, told, braked=brake is not None, now=now)
    limits = parts.courier.limits
    untouched = send.state in GOING and not _has_been_posted(session, send)
    facts = (state, send.cause, brake and brake.cause, told.uncertain > 0, untouched)
    return Progress(
        send=send,
        tally=told,
        state=state,
        pace=_honest_pace(session, send, told, limits, now) if brake is None else None,
        limits=words.limited(limits, now.astimezone(UTC).date()),
        starts=words.clock(send.starts_at, send.mailing_list.zone)
        if send.state is SendState.SENDING and send.starts_at > now
        else None,
        untouched=untouched,
        phase="/".join(str(fact) for fact in facts),
    )


def _honest_pace(
    session: Session, send: Send, told: Tally, limits: Limits, now: datetime
) -> Pace | None:
    """None too where a limit of the hour or of the day will make it stop and wait."""
    if limits.per_day is not None or limits.per_hour(now.astimezone(UTC).date()) is not None:
        return None
    return pace(session, send, told, now=now)


def _has_been_posted(session: Session, send: Send) -> bool:
    query = select(Attempt.id).where(Attempt.send_id == send.id).limit(1)
    return session.scalar(query) is not None
