"""The consent journal: who agreed to what, when, where, and in which words."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from nif.database import insert_if_new
from nif.subscriptions.models import (
    READER_ACTIONS,
    Consent,
    ConsentAction,
    ConsentWording,
    Subscription,
)

IMPORT_SOURCE = "import:"
"""The prefix of the sources of consents that a file brought."""

REPERMISSION_SOURCE = "repermission:"
"""The prefix of the sources of unsubscribes that NIF recorded because a subscriber did not answer a
re-permission mail."""

ADMIN_SOURCE = "/admin/subscribers"
"""The source of what an admin did for a subscriber. It is no activity of the subscriber."""


def wording_of_subscription(site: str, newsletter: str) -> str:
    """The consent text beside a subscribe form, as it is shown and recorded."""
    return (
        f"I would like {site} to mail me {newsletter} at this address. "
        "I can unsubscribe at any time, with one click in every mail."
    )


def wording_of_preferences(site: str) -> str:
    """The consent text on the preferences page, for everything that is chosen there."""
    return (
        f"I would like {site} to mail me what I have chosen here. "
        "I can unsubscribe at any time, with one click in every mail."
    )


@dataclass(frozen=True)
class ConsentContext:
    """The circumstances of a consent: the page, the network (never a whole address), the text."""

    source: str
    network: str = "unknown"
    wording: str | None = None


def record_consent(
    session: Session,
    subscription: Subscription,
    action: ConsentAction,
    context: ConsentContext,
    *,
    now: datetime,
) -> None:
    session.add(
        Consent(
            subscriber_id=subscription.subscriber_id,
            list_id=subscription.list_id,
            action=action,
            at=now,
            wording=save_wording(session, context.wording, now=now) if context.wording else None,
            source=context.source[:300],
            network=context.network,
        )
    )


def save_wording(session: Session, text: str, *, now: datetime) -> str:
    """Save the words that somebody agreed to; returns their version, a hash."""
    version = hashlib.sha256(text.encode()).hexdigest()[:16]
    insert_if_new(session, ConsentWording, version=version, text=text, first_used_at=now)
    return version


def is_reader_action() -> ColumnElement[bool]:
    """The condition that a consent records what the subscriber did on this site themselves.

    It excludes what admins did, what files brought, and unsubscribes for want of an answer.
    """
    by_others = (
        (Consent.source == ADMIN_SOURCE)
        | Consent.source.startswith(IMPORT_SOURCE)
        | Consent.source.startswith(REPERMISSION_SOURCE)
    )
    return and_(READER_ACTIONS, ~by_others)


def has_ever_confirmed(session: Session, subscriber_id: int) -> bool:
    """Did this subscriber ever confirm anything? If so, they are the owner of the address."""
    in_journal = select(Consent.id).where(
        Consent.subscriber_id == subscriber_id, Consent.action == ConsentAction.CONFIRMED
    )
    subscribed = select(Subscription.list_id).where(
        Subscription.subscriber_id == subscriber_id, Subscription.confirmed_at.is_not(None)
    )
    return any(session.scalar(query.limit(1)) is not None for query in (in_journal, subscribed))


def find_last_source(
    session: Session, subscription: Subscription, action: ConsentAction
) -> str | None:
    """The source of the last consent with this action; None where there is none."""
    sources = select(Consent.source).where(
        Consent.subscriber_id == subscription.subscriber_id,
        Consent.list_id == subscription.list_id,
        Consent.action == action,
    )
    return session.scalar(sources.order_by(Consent.id.desc()).limit(1))
