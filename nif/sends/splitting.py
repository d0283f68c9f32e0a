"""Cutting a batch in two, and counting what is in one."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nif.sends.models import Batch, BatchState, Delivery, Outcome

DROPPED = (Outcome.LEFT, Outcome.PAUSED, Outcome.SUPPRESSED, Outcome.SPOKE)


def split(session: Session, batch_id: int, middle: int) -> None:
    """From `middle` on, the deliveries of a batch belong to a new one, which is planned."""
    batch = session.get_one(Batch, batch_id, populate_existing=True)
    upper = Batch(
        send_id=batch.send_id,
        first=middle,
        last=batch.last,
        size=0,
        dropped=0,
        refused=0,
        unwritable=0,
        tries=batch.tries,
        state=BatchState.PLANNED,
    )
    batch.last = middle - 1
    session.add(upper)
    for half in (batch, upper):
        count_again(session, half)
    session.flush()


def count_again(session: Session, batch: Batch) -> None:
    """Set the counts of a batch by its deliveries."""
    counts = dict(
        session.execute(
            select(Delivery.outcome, func.count())
            .where(
                Delivery.send_id == batch.send_id,
                Delivery.subscriber_id.between(batch.first, batch.last),
            )
            .group_by(Delivery.outcome)
        ).all()
    )
    batch.size = sum(counts.values())
    batch.refused = counts.get(Outcome.REFUSED, 0)
    batch.unwritable = counts.get(Outcome.UNWRITABLE, 0)
    batch.dropped = sum(counts.get(outcome, 0) for outcome in DROPPED)
