"""Consent receipts: what a subscriber agreed to, in which words, when, where, and the proof."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.subscriptions.consent import REPERMISSION_SOURCE
from nif.subscriptions.models import Consent, ConsentAction, ConsentWording, MailingList

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


def list_consent_receipts(session: Session, subscriber_id: int) -> list[dict[str, Any]]:
    """The consent journal of a subscriber with all evidence, oldest entry first."""
    query = (
        select(Consent, MailingList, ConsentWording)
        .join(MailingList, MailingList.id == Consent.list_id)
        .outerjoin(ConsentWording, ConsentWording.version == Consent.wording)
        .where(Consent.subscriber_id == subscriber_id)
        .order_by(Consent.id)
    )
    return [
        {
            "id": consent.id,
            "at": consent.at,
            "action": consent.action.value,
            "summary": f"{_describe_action(consent)} {mailing_list.title}",
            "list": mailing_list.slug,
            "wording": wording.text if wording else None,
            "wording_version": consent.wording,
            "source": consent.source,
            "network": consent.network,
            "proof": describe_proof(consent),
        }
        for consent, mailing_list, wording in session.execute(query)
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
