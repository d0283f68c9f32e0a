"""Writing down who agreed to what, when, where, and in which words."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from nif.database import conflict_aware_insert
from nif.subscriptions.models import (
    READER_ACTIONS,
    Consent,
    ConsentAction,
    ConsentWording,
    Subscription,
    SubscriptionState,
)

IMPORT_SOURCE = "import:"
NO_ANSWER_SOURCE = "asked:"
"""How the source of a leaving begins that was ours: a reader was asked, and did not answer."""

ADMIN_SOURCE = "/admin/subscribers"
"""The source of what an admin did here; it is no sign of the reader's life."""


def wording_of_subscription(site: str, newsletter: str) -> str:
    """The words beside the form: what a reader agrees to, as it is shown and as it is recorded."""
    return (
        f"I would like {site} to mail me {newsletter} at this address. "
        "I can leave at any time, with one click in every mail."
    )


def wording_of_preferences(site: str) -> str:
    """The same on a reader's own page, beside all that can be ticked there."""
    return (
        f"I would like {site} to mail me what I have chosen here. "
        "I can leave at any time, with one click in every mail."
    )


@dataclass(frozen=True)
class ConsentContext:
    """Where a wish came from: the page, the network (never the whole address), the words shown."""

    source: str
    network: str = "unknown"
    wording: str | None = None


def record_consent(
    session: Session,
    subscription: Subscription,
    action: ConsentAction,
    where: ConsentContext,
    *,
    now: datetime,
) -> None:
    """Append to the record. Nothing is ever changed in it."""
    session.add(
        Consent(
            subscriber_id=subscription.subscriber_id,
            list_id=subscription.list_id,
            action=action,
            at=now,
            wording=save_wording(session, where.wording, now=now) if where.wording else None,
            source=where.source[:300],
            network=where.network,
        )
    )


def is_reader_action() -> ColumnElement[bool]:
    """Was a consent recorded for what the reader did here, and nobody else or elsewhere?"""
    elsewhere = (
        (Consent.source == ADMIN_SOURCE)
        | Consent.source.startswith(IMPORT_SOURCE)
        | Consent.source.startswith(NO_ANSWER_SOURCE)
    )
    return and_(READER_ACTIONS, ~elsewhere)


def has_ever_confirmed(session: Session, subscriber_id: int) -> bool:
    """Did this person confirm anything at any time? Who did is the reader of their address."""
    recorded = select(Consent.id).where(
        Consent.subscriber_id == subscriber_id, Consent.action == ConsentAction.CONFIRMED
    )
    standing = select(Subscription.list_id).where(
        Subscription.subscriber_id == subscriber_id, Subscription.confirmed_at.is_not(None)
    )
    return any(session.scalar(query.limit(1)) is not None for query in (recorded, standing))


def save_wording(session: Session, text: str, *, now: datetime) -> str:
    """Keep the words that somebody agreed to; returns the version that stands for them."""
    version = hashlib.sha256(text.encode()).hexdigest()[:16]
    session.execute(
        conflict_aware_insert(session, ConsentWording)
        .values(version=version, text=text, first_used_at=now)
        .on_conflict_do_nothing()
    )
    return version


def find_request_source(session: Session, subscription: Subscription) -> str | None:
    """The page on which somebody asked for what they confirm now; None where nobody waits."""
    if subscription.state is not SubscriptionState.PENDING:
        return None
    asked = select(Consent.source).where(
        Consent.subscriber_id == subscription.subscriber_id,
        Consent.list_id == subscription.list_id,
        Consent.action == ConsentAction.REQUESTED,
    )
    return session.scalar(asked.order_by(Consent.id.desc()).limit(1))
