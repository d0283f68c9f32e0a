"""What the provider reports: kept as it came, then understood, each event once.

Everything in an event is hostile until it is matched with an attempt of ours.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import select, update
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.errors import Invalid
from nif.sends.models import Attempt, Event, EventPost
from nif.subscriptions.consenting import Circumstances
from nif.subscriptions.leaving import leave
from nif.subscriptions.models import Subscriber, Subscription, SuppressionReason
from nif.subscriptions.suppressing import suppress

log = logging.getLogger(__name__)

LARGEST_POST = 2_000_000
"""Bytes. SendGrid posts at 768 kB."""

CHUNK = 1000
"""Events in one INSERT: PostgreSQL takes 65,535 parameters."""

_DROPS = {
    "Bounced Address": SuppressionReason.BOUNCED,
    "Spam Reporting Address": SuppressionReason.COMPLAINED,
    "Unsubscribed Address": SuppressionReason.UNSUBSCRIBED,
    "Invalid": SuppressionReason.INVALID,
}


@dataclass(frozen=True)
class Report:
    """The parts of an event that NIF acts on."""

    id: str
    kind: str
    attempt_id: str | None
    subscriber_id: int | None
    happened_at: datetime
    detail: str | None
    suppresses: SuppressionReason | None


def receive(session: Session, body: bytes, *, now: datetime) -> None:
    """Keep a post whose signature was found right. Raises Invalid where it is no list."""
    try:
        whole = isinstance(orjson.loads(body), list)
    except orjson.JSONDecodeError:
        whole = False
    if not whole:
        raise Invalid({"body": "A list of events was expected."})
    session.add(EventPost(received_at=now, body=body))


def process(session: Session, *, now: datetime, most: int = 20) -> int:
    """Understand up to `most` waiting posts, oldest first; returns how many there were."""
    posts = session.scalars(
        select(EventPost)
        .where(EventPost.trouble.is_(None))
        .order_by(EventPost.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    ).all()
    for post in posts:
        try:
            with session.begin_nested():
                _take_in(session, list(_read(post.body)), now)
                session.delete(post)
        except (DataError, IntegrityError) as error:
            log.warning("a post of events was set aside: %s", type(error).__name__)
            post.trouble = type(error).__name__
    return len(posts)


def take_up_again(session: Session) -> None:
    """Let posts that were set aside be processed once more."""
    session.execute(update(EventPost).values(trouble=None))


def _take_in(session: Session, reports: list[Report], now: datetime) -> None:
    if not reports:
        return
    ours = set(
        session.scalars(
            select(Attempt.id).where(Attempt.id.in_({r.attempt_id for r in reports} - {None}))
        )
    )
    names = ("id", "kind", "attempt_id", "subscriber_id", "happened_at", "detail")
    # In one order, so that two posts with the same events cannot wait for each other.
    reports = sorted(reports, key=lambda report: report.id)
    rows = [
        {name: getattr(report, name) for name in names} | {"received_at": now} for report in reports
    ]
    statement = insert_into(session, Event).on_conflict_do_nothing().returning(Event.id)
    new = {
        event_id
        for chunk in (rows[n : n + CHUNK] for n in range(0, len(rows), CHUNK))
        for event_id in session.scalars(statement.values(chunk))
    }
    for report in reports:
        if report.id in new and report.suppresses and report.attempt_id in ours:
            _suppress(session, report, now)


def _suppress(session: Session, report: Report, now: datetime) -> None:
    subscriber = session.get(Subscriber, report.subscriber_id or 0)
    if subscriber is None or report.suppresses is None:
        return
    source = f"event {report.kind}"
    suppress(session, subscriber.canonical, report.suppresses, source=source, now=now)
    if report.suppresses is SuppressionReason.UNSUBSCRIBED:
        # The wish was told to the provider; it is ours to keep, and to end, all the same.
        mine = select(Subscription).where(Subscription.subscriber_id == subscriber.id)
        for subscription in session.scalars(mine.with_for_update()):
            leave(session, subscription, Circumstances(source), now=now)


def _read(body: bytes) -> Iterator[Report]:
    for item in orjson.loads(body):
        try:
            yield _report(item)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError):
            log.warning("an event could not be read and was passed over")


def _report(item: dict[str, Any]) -> Report:
    delivery = str(item.get("nif_d") or "")
    _, _, subscriber = delivery.partition(".")
    return Report(
        id=_clean(str(item["sg_event_id"]), 100) or "",
        kind=_clean(str(item["event"]), 40) or "",
        attempt_id=_clean(item.get("nif_a"), 64),
        subscriber_id=int(subscriber) if subscriber.isdecimal() and len(subscriber) < 19 else None,
        happened_at=datetime.fromtimestamp(int(item["timestamp"]), UTC),
        detail=_clean(item.get("reason") or item.get("response")),
        suppresses=_reason(item),
    )


def _clean(text: object, longest: int = 500) -> str | None:
    """Text from the world outside, shortened and without control characters."""
    if not isinstance(text, str):
        return None
    return "".join(ch if ch.isprintable() else " " for ch in text[:longest])


def _reason(item: dict[str, Any]) -> SuppressionReason | None:
    kind = item["event"]
    if kind == "bounce" and item.get("type", "bounce") == "bounce":
        return SuppressionReason.BOUNCED
    if kind == "spamreport":
        return SuppressionReason.COMPLAINED
    if kind in {"unsubscribe", "group_unsubscribe"}:
        return SuppressionReason.UNSUBSCRIBED
    return _DROPS.get(str(item.get("reason"))) if kind == "dropped" else None
