"""How far an asking is, as the pages of imports and of quiet readers show it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from nif.sends.asking import send_of
from nif.sends.askings import Asking
from nif.sends.certifying import Tally, tally
from nif.sends.guarding import reported
from nif.sends.models import Send, SendState
from nif.web.admin import words

PASSING = ("blocked", "bounce", "dropped")


@dataclass(frozen=True)
class Progress:
    """An asking, its send, and the figures of both. `through_at` is when its last mail would go."""

    asking: Asking
    send: Send
    tally: Tally
    state: str
    trouble: words.Trouble | None
    bounced: int
    through_at: datetime | None

    @property
    def is_mailing(self) -> bool:
        return self.send.state in {SendState.SENDING, SendState.PAUSED}


def progress_of(session: Session, asking: Asking | None, *, now: datetime) -> Progress | None:
    """None where nothing was asked."""
    if asking is None:
        return None
    send = send_of(session, asking)
    told, events = tally(session, send), reported(session, send.id)
    through_at = None
    if send.state is SendState.SENDING and told.pending:
        begins = max(now, asking.free_at, send.starts_at)
        through_at = begins + timedelta(hours=told.pending / asking.per_hour)
    return Progress(
        asking=asking,
        send=send,
        tally=told,
        state=words.state(send, told, now=now),
        trouble=words.trouble(send),
        bounced=sum(events.get(kind, 0) for kind in PASSING),
        through_at=through_at,
    )
