"""The consent journal: who agreed to what, when, where, and in which words; and its receipts."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.orm import Session

from nif.database import insert_if_new
from nif.subscriptions.models import (
    READER_ACTIONS,
    Consent,
    ConsentAction,
    ConsentWording,
    MailingList,
    Subscription,
)

IMPORT_SOURCE = "import:"
"""The prefix of the sources of consents that a file brought."""

REPERMISSION_SOURCE = "repermission:"
"""The prefix of the sources of unsubscribes that NIF recorded because a subscriber did not answer a
re-permission mail."""

ADMIN_SOURCE = "/admin/subscribers"
"""The source of what an admin did for a subscriber. It is no activity of the subscriber."""

ADDRESS_CHANGE_PAGE = "/new-address"

ACTION_WORDS = {
    ConsentAction.REQUESTED: "asked to subscribe to",
    ConsentAction.CONFIRMED: "subscribed to",
    ConsentAction.UNSUBSCRIBED: "were unsubscribed from",
    ConsentAction.IMPORTED: "were imported from a file to",
    ConsentAction.CHANGED: "changed your topics of",
    ConsentAction.PAUSED: "paused",
    ConsentAction.RESUMED: "resumed",
}
"""The end of a sentence that begins with "You"."""

PROOF_WORDS = (
    ("/confirm", "by the link in a mail that was sent to the address"),
    ("/preferences", "on the preferences page, whose link was only mailed to the address"),
    ("/unsubscribe", "by the unsubscribe link, which was only mailed to the address"),
    (ADDRESS_CHANGE_PAGE, "by the link in a mail that was sent to the new address"),
    ("/stay", "by the link in a mail that asked whether you still want it"),
    (REPERMISSION_SOURCE, "by us: we asked whether you still want it, and got no answer"),
    ("event", "as the mail provider reported"),
)
"""The proof by the prefix of a consent's source."""


_MAY_UNSUBSCRIBE = "I can unsubscribe at any time, with one click in every mail."


def wording_of_subscription(site: str, newsletter: str) -> str:
    """The consent text beside a subscribe form, as it is shown and recorded."""
    return f"I would like {site} to mail me {newsletter} at this address. {_MAY_UNSUBSCRIBE}"


def wording_of_preferences(site: str) -> str:
    """The consent text on the preferences page, for everything that is chosen there."""
    return f"I would like {site} to mail me what I have chosen here. {_MAY_UNSUBSCRIBE}"


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


def select_consents(subscriber_id: int) -> Select[Consent, MailingList, str | None]:
    """The consents of a subscriber in order, each with its list and the wording agreed to."""
    return (
        select(Consent, MailingList, ConsentWording.text)
        .join(MailingList, MailingList.id == Consent.list_id)
        .outerjoin(ConsentWording, ConsentWording.version == Consent.wording)
        .where(Consent.subscriber_id == subscriber_id)
        .order_by(Consent.id)
    )


def list_consent_receipts(session: Session, subscriber_id: int) -> list[dict[str, Any]]:
    """The consent journal of a subscriber with all evidence, oldest entry first."""
    return [
        {
            "id": consent.id,
            "at": consent.at,
            "action": consent.action.value,
            "summary": f"{_describe_action(consent)} {mailing_list.title}",
            "list": mailing_list.slug,
            "wording": wording,
            "wording_version": consent.wording,
            "source": consent.source,
            "network": consent.network,
            "proof": describe_proof(consent),
        }
        for consent, mailing_list, wording in session.execute(select_consents(subscriber_id))
    ]


def describe_proof(consent: Consent) -> str:
    """How it is known that the subscriber acted, or why it was somebody else."""
    if consent.action is ConsentAction.REQUESTED:
        return "by the form; it subscribed nobody before the address was confirmed"
    return next(
        (words for prefix, words in PROOF_WORDS if consent.source.startswith(prefix)), "as recorded"
    )


def _describe_action(consent: Consent) -> str:
    is_change = consent.action is ConsentAction.CHANGED
    if is_change and consent.source.startswith(ADDRESS_CHANGE_PAGE):
        return "changed your address for"
    return ACTION_WORDS.get(consent.action, consent.action.value)
