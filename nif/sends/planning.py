"""Turning a frozen edition into a send: who gets it, in which batches."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, insert, literal, select
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.editions.models import Edition, EditionState
from nif.errors import Conflict
from nif.mail.mailer import LARGEST_POST
from nif.sends.models import Batch, BatchState, Delivery, Send, SendState
from nif.subscriptions.models import Subscription, SubscriptionState


def plan(session: Session, edition: Edition, *, now: datetime) -> Send | None:
    """Write down a delivery for everyone who is confirmed now, in batches of up to 1,000.

    The audience is frozen here: who joins later gets the next edition. None where the edition has
    a send already. Raises Conflict for one that was never frozen.
    """
    if edition.state is not EditionState.FROZEN:
        raise Conflict(f"This edition is {edition.state.value}: there is nothing to send.")
    send_id = session.scalar(
        insert_into(session, Send)
        .values(
            edition_id=edition.id,
            list_id=edition.list_id,
            state=SendState.SENDING,
            audience=0,
            failures=0,
            refusals=0,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=[Send.edition_id])
        .returning(Send.id)
    )
    if send_id is None:
        return None
    send = session.get_one(Send, send_id)
    send.audience = _write_deliveries(session, send)
    session.execute(insert(Batch).from_select(_BATCH_COLUMNS, _ranges(send.id)))
    if send.audience == 0:
        send.state, send.finished_at = SendState.FINISHED, now
    return send


def _write_deliveries(session: Session, send: Send) -> int:
    """One delivery for each confirmed subscriber; returns how many there are now."""
    confirmed = select(literal(send.id), Subscription.subscriber_id).where(
        Subscription.list_id == send.list_id,
        Subscription.state == SubscriptionState.CONFIRMED,
    )
    session.execute(insert(Delivery).from_select(["send_id", "subscriber_id"], confirmed))
    count = select(func.count()).select_from(Delivery).where(Delivery.send_id == send.id)
    return session.scalar(count) or 0


_BATCH_COLUMNS = ["send_id", "first", "last", "size", "dropped", "refused", "state"]


def _ranges(send_id: int) -> Select[*tuple[Any, ...]]:
    number = func.row_number().over(order_by=Delivery.subscriber_id) - 1
    numbered = (
        select(Delivery.subscriber_id, (number // LARGEST_POST).label("n"))
        .where(Delivery.send_id == send_id)
        .subquery()
    )
    return (
        select(
            literal(send_id),
            func.min(numbered.c.subscriber_id),
            func.max(numbered.c.subscriber_id),
            func.count(),
            literal(0),
            literal(0),
            literal(BatchState.PLANNED, Batch.state.type),
        )
        .group_by(numbered.c.n)
        .order_by(numbered.c.n)
    )
