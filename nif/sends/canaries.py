"""Canaries: mails of NIF to itself, by which it learns whether the stream of events is alive.

One is posted every two minutes while a batch awaits proof, by the same provider and with a mark of
its own. An event about it shows that events came in then; where none comes in, they do not.
"""

from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from nif.clock import Clock
from nif.database import Transaction
from nif.mail.message import Message, MessageCopy
from nif.mail.provider import Mailer, NotAccepted, Uncertain
from nif.sends.evidence import CanaryFate, CanarySign, ReconciliationTiming, judge_canary
from nif.sends.models import Batch, BatchState, Canary, LostEventPost

CANARY_MARK = "nif_c"
"""The custom argument by which the events of a canary are recognised."""

KEEP_FOR = timedelta(days=3)
"""Longer than any batch awaits proof."""

_TEXT = (
    "NIF has sent a batch of mail and got no clear answer about it. It sends this mail to itself "
    "to find out whether it hears of its mail at the moment. You need not do anything.\n"
)


def write_canary(site_name: str, sender: str) -> Message:
    """The mail of a canary."""
    return Message(
        from_address=sender,
        from_name=site_name,
        subject=f"{site_name}: delivery check",
        text=_TEXT,
        html=f"<p>{_TEXT.strip()}</p>",
    )


def post_canary_if_due(
    transaction: Transaction,
    mailer: Mailer,
    message: Message,
    to_address: str,
    *,
    every: timedelta,
    clock: Clock,
) -> bool:
    """Post a canary where a batch awaits proof and the last one is `every` old; was one posted?"""
    with transaction() as session:
        canary_id = _begin_canary(session, every, clock()) if mailer.reports_by_events else None
    if canary_id is None:
        return False
    copy, accepted = MessageCopy(to_address, {CANARY_MARK: "1"}, {}, {}), None
    try:
        mailer.post(mailer.build_request(message, [copy], attempt=canary_id))
        accepted = True
    except NotAccepted:
        accepted = False
    except Uncertain:
        pass
    with transaction() as session:
        session.execute(update(Canary).where(Canary.id == canary_id).values(accepted=accepted))
    return True


def _begin_canary(session: Session, every: timedelta, now: datetime) -> str | None:
    """Record a canary before it is posted; None where none is due. Two workers may both do so."""
    awaits_proof = select(Batch.id).where(Batch.state == BatchState.AWAITING_PROOF).limit(1)
    if session.scalar(awaits_proof) is None:
        return None
    last = session.scalar(select(Canary.posted_at).order_by(Canary.posted_at.desc()).limit(1))
    if last is not None and abs(now - last) < every:
        return None
    canary = Canary(id=uuid4().hex, posted_at=now)
    session.add(canary)
    return canary.id


def find_unheard_canary(
    session: Session, timing: ReconciliationTiming, *, now: datetime
) -> Canary | None:
    """The newest canary that the provider accepted, where nothing was heard of it in time."""
    newest = (
        select(Canary).where(Canary.accepted.is_(True)).order_by(Canary.posted_at.desc()).limit(1)
    )
    canary = session.scalar(newest)
    if canary is None:
        return None
    sign = CanarySign(canary.posted_at, canary.accepted, canary.heard_at)
    return canary if judge_canary(sign, timing, now=now) is CanaryFate.LOST else None


def delete_old_canaries(session: Session, *, now: datetime) -> None:
    """Delete what no batch can need any more."""
    session.execute(delete(Canary).where(Canary.posted_at < now - KEEP_FOR))
    session.execute(delete(LostEventPost).where(LostEventPost.lost_at < now - KEEP_FOR))
