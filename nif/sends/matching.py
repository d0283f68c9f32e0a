"""Whom an event is about, and what follows for them. What we did not mail is not ours to judge."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nif.mail.posting import Letter
from nif.sends.models import Batch, BatchState, Delivery, Send
from nif.sends.understanding import Told
from nif.subscriptions import relaying
from nif.subscriptions.consenting import Circumstances
from nif.subscriptions.leaving import leave
from nif.subscriptions.models import Subscriber, Subscription, SuppressionReason
from nif.subscriptions.suppressing import lock, suppress_all

DROPPED = "dropped"
LOOK_BACK = timedelta(days=30)
"""How long after its mail a bounce without any mark is still taken for that mail's."""


def match(session: Session, told: list[Told], *, now: datetime) -> list[Told]:
    """Give the events that carry no mark of ours to the last mail that their address got.

    A bounce that comes back by mail, after the delivery, does not say which mail it is about.
    """
    return [
        _matched(session, one, one.address.lower(), now)
        if one.suppresses and one.address and (one.of_letter or not one.attempt_id)
        else one
        for one in told
    ]


def suppress(session: Session, told: Iterable[Told], *, now: datetime) -> None:
    """Never mail again whom these events are about."""
    moments: dict[tuple[SuppressionReason, str], dict[int, datetime]] = defaultdict(dict)
    for one in told:
        if one.subscriber_id and one.suppresses:
            moments[one.suppresses, one.kind][one.subscriber_id] = _moment(one)
    for (reason, kind), by_id in sorted(moments.items()):
        source = f"event {kind}"
        query = select(Subscriber.canonical, Subscriber.id).where(Subscriber.id.in_(by_id))
        by_address = {row[0]: by_id[row[1]] for row in session.execute(query)}
        if reason is SuppressionReason.UNSUBSCRIBED:
            is_drop = kind == DROPPED
            take_in_wishes(session, by_address, source, is_drop=is_drop, now=now)
        else:
            suppress_all(session, by_address, reason, source=source, now=now)


def take_in_wishes(
    session: Session,
    wishes: Mapping[str, datetime],
    source: str,
    *,
    is_drop: bool = False,
    now: datetime,
) -> None:
    """These told the provider that they want no mail, at these moments; ours to keep all the same.

    Not those who have come back since, and not those whom only we told the provider of. Whoever
    comes back in this very moment holds their subscription and their suppression, in this order:
    so we wait for them before we look, or they for us.
    """
    theirs = select(Subscriber.id).where(Subscriber.canonical.in_(wishes))
    mine = select(Subscription).where(Subscription.subscriber_id.in_(theirs))
    keys = (Subscription.subscriber_id, Subscription.list_id)
    locked = mine.order_by(*keys).with_for_update(of=Subscription)
    subscriptions = session.scalars(locked.execution_options(populate_existing=True)).all()
    lock(session, wishes)
    new = wishes.keys() - relaying.echoes(session, wishes, is_drop=is_drop)
    suppress_all(session, new, SuppressionReason.UNSUBSCRIBED, source=source, now=now)
    # List by list, so that two who do this at once cannot wait for each other.
    for one in sorted(subscriptions, key=lambda one: (one.list_id, one.subscriber_id)):
        if one.subscriber.canonical in new:
            leave(session, one, Circumstances(source), now=now)


def _matched(session: Session, one: Told, canonical: str, now: datetime) -> Told:
    query = select(Subscriber.id).where(Subscriber.canonical == canonical)
    subscriber_id = session.scalar(query)
    if subscriber_id is None or one.suppresses is None:
        return one
    if not one.of_letter:
        attempt_id = _last_attempt(session, subscriber_id, since=now - LOOK_BACK)
        if attempt_id is not None:
            return one._replace(attempt_id=attempt_id, subscriber_id=subscriber_id)
    if _had_a_letter(session, canonical) and not _is_echo(session, canonical, one):
        source = f"event {one.kind}"
        suppress_all(session, [canonical], one.suppresses, source=source, now=now)
    return one


def _is_echo(session: Session, canonical: str, one: Told) -> bool:
    """Does it tell of a wish that was taken back since, or that only we told the provider of?"""
    if one.suppresses is not SuppressionReason.UNSUBSCRIBED:
        return False
    wish = {canonical: _moment(one)}
    return bool(relaying.echoes(session, wish, is_drop=one.kind == DROPPED))


def _moment(one: Told) -> datetime:
    return datetime.fromtimestamp(one.happened_at, UTC)


def _last_attempt(session: Session, subscriber_id: int, *, since: datetime) -> str | None:
    """The attempt by which a subscriber was mailed last, for certain."""
    recent = select(Send.id).where(Send.created_at > since)
    return session.scalar(
        select(Batch.attempt_id)
        .join(
            Delivery,
            (Delivery.send_id == Batch.send_id)
            & Delivery.subscriber_id.between(Batch.first, Batch.last),
        )
        .where(
            Delivery.subscriber_id == subscriber_id,
            Delivery.send_id.in_(recent),
            Delivery.outcome.is_(None),
            Batch.state == BatchState.ACCEPTED,
            Batch.attempt_id.is_not(None),
        )
        .order_by(Batch.send_id.desc())
        .limit(1)
    )


def _had_a_letter(session: Session, canonical: str) -> bool:
    found = select(Letter.id).where(
        func.lower(Letter.address) == canonical, Letter.sent_at.is_not(None)
    )
    return session.scalar(found.limit(1)) is not None
