"""Receipts of consent: the words agreed to, when, from where, and how it was confirmed."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.subscriptions.consent import REPERMISSION_SOURCE
from nif.subscriptions.models import Consent, ConsentAction, ConsentWording, MailingList

ACTION_WORDS = {
    ConsentAction.REQUESTED: "asked to join",
    ConsentAction.CONFIRMED: "agreed to get",
    ConsentAction.UNSUBSCRIBED: "left",
    ConsentAction.IMPORTED: "was brought with a file to",
    ConsentAction.CHANGED: "changed what comes of",
    ConsentAction.PAUSED: "paused",
    ConsentAction.RESUMED: "went on with",
}

ADDRESS_CHANGED = "changed the address of"

PROOF_WORDS = (
    ("/confirm", "by the link in a mail that was sent to the address"),
    ("/preferences", "on the reader\u2019s own page, whose link was only mailed to the address"),
    ("/unsubscribe", "by the link to leave, which was only mailed to the address"),
    ("/new-address", "by the link in a mail that was sent to the new address"),
    ("/stay", "by the link in a mail that asked the reader whether they still want it"),
    (
        REPERMISSION_SOURCE,
        "by us: the reader was asked whether they still want it, and did not answer",
    ),
    ("event", "as the mail provider reported"),
)


def list_consent_receipts(session: Session, subscriber_id: int) -> list[dict[str, Any]]:
    """Every change of a reader's mind, the oldest first, with all that proves it."""
    query = (
        select(Consent, MailingList, ConsentWording)
        .join(MailingList, MailingList.id == Consent.list_id)
        .outerjoin(ConsentWording, ConsentWording.version == Consent.wording)
        .where(Consent.subscriber_id == subscriber_id)
        .order_by(Consent.id)
    )
    return [
        {
            "number": consent.id,
            "at": consent.at,
            "action": consent.action.value,
            "in_words": f"{_describe_action(consent)} {of.title}",
            "list": of.slug,
            "words": words.text if words else None,
            "words_version": consent.wording,
            "page": consent.source,
            "network": consent.network,
            "how": describe_proof(consent),
        }
        for consent, of, words in session.execute(query)
    ]


def _describe_action(consent: Consent) -> str:
    if consent.action is ConsentAction.CHANGED and consent.source.startswith("/new-address"):
        return ADDRESS_CHANGED
    return ACTION_WORDS.get(consent.action, consent.action.value)


def describe_proof(consent: Consent) -> str:
    """How it is known that it was the reader who said so."""
    if consent.action is ConsentAction.REQUESTED:
        return "by the form; nobody was subscribed by it before the address was confirmed"
    return next(
        (words for page, words in PROOF_WORDS if consent.source.startswith(page)), "as recorded"
    )
