"""The messages of editions: written, frozen in their edition, and copied for a preview."""

import hashlib
import html
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from nif.database import insert_if_new
from nif.editions.models import DIGEST_OCCASION, REPERMISSION_OCCASION_PREFIX, Edition, EditionState
from nif.editions.schedule import Slot, slot_at
from nif.links import Links
from nif.mail.message import MailWriter, Message, fill_placeholders
from nif.media.models import AI_LABELS, PictureShape, choose_jpeg_file
from nif.stories.corrections import format_sentence
from nif.stories.models import ChangeKind, Revision
from nif.stories.queries import NoteInContext
from nif.subscriptions.models import MailingList

UNSUBSCRIBE_PLACEHOLDER = "%nif.unsubscribe%"
PREFERENCES_PLACEHOLDER = "%nif.preferences%"
READER_PLACEHOLDER = "%nif.reader%"
ANSWER_PLACEHOLDER = "%nif.answer%"
READER_HTML_PLACEHOLDER = "%nif.reader_html%"
"""What each copy replaces: the two links, the link to answer by, and the address that it goes to.
Providers do not escape what they insert, so the address comes in two forms.
"""

NOTE_TITLES = {ChangeKind.RETRACTION: "Retraction"}
"""The title of a mail about a note, where it is not the note's own label."""

CHANGES_SINCE_MAILING = {
    ChangeKind.RETRACTION: "and have retracted it since",
    ChangeKind.REMOVAL: "and have removed it since",
}
"""What happened to a story after it was mailed, where it was not corrected."""

PICTURE_FILE_WIDTH = 960
"""Pixels of the file; it is shown at half the width, so that it is sharp on a telephone."""

_NOT_IN_QUOTED_STRING = re.compile(r"[^!#-\[\]-~]")
"""All characters that would need escaping between the quotes of a header."""


def write_digest_message(
    mail_writer: MailWriter,
    mailing_list: MailingList,
    slot: Slot,
    stories: Sequence[Revision],
    root: str | None = None,
    corrections: Sequence[NoteInContext] = (),
) -> Message:
    """The digest of a slot, with the placeholders that each copy replaces.

    Corrections come before the news; there may be nothing else. The HTML shows the lead picture of
    the first story. `root` is the ledger's root for the footer, which makes each inbox a witness of
    the ledger.
    """
    return mail_writer.renderer.render(
        "digest",
        slot=slot,
        stories=stories,
        root=root,
        corrections=corrections,
        picture=_picture_values(mail_writer.links, stories[0]) if stories else None,
        **_list_mail_values(mail_writer.links, mailing_list),
    )


def _picture_values(links: Links, story: Revision) -> dict[str, Any] | None:
    """What the mail shows of a story's picture: {"address", "alt", "label", "credit"}."""
    record = story.picture
    if not record:
        return None
    name, _, _ = choose_jpeg_file(record, PictureShape.WIDE, width=PICTURE_FILE_WIDTH)
    label = AI_LABELS.get(record["ai_use"], "")
    facts = {"alt": record["alt"], "label": label, "credit": record["credit"]}
    return {"address": links.picture(name), **facts}


def write_correction_message(
    mail_writer: MailWriter,
    mailing_list: MailingList,
    slot: Slot,
    correction: NoteInContext,
    mailed: Edition,
    root: str | None = None,
) -> Message:
    """The mail that corrects one error; `mailed` is the edition that contained it."""
    return mail_writer.renderer.render(
        "correction",
        slot=slot,
        correction=correction,
        title=NOTE_TITLES.get(correction.note.kind, correction.note.label),
        since=CHANGES_SINCE_MAILING.get(correction.note.kind, "and it was seriously wrong"),
        wrong=format_sentence(correction.note.incorrect_text),
        right=format_sentence(correction.note.corrected_text),
        mailed=mailed,
        root=root,
        **_list_mail_values(mail_writer.links, mailing_list),
    )


def write_imported_repermission_message(
    mail_writer: MailWriter, mailing_list: MailingList, consent_source: str
) -> Message:
    """The question whether the owner of an imported address wants the list.

    `consent_source` is where the addresses came from, in the words of the staff.
    """
    return mail_writer.renderer.render(
        "confirm_subscription",
        link=ANSWER_PLACEHOLDER,
        consent_source=" ".join(consent_source.split()),
        **_list_mail_values(mail_writer.links, mailing_list),
    )


def write_inactive_repermission_message(
    mail_writer: MailWriter, mailing_list: MailingList, *, months: int, wait_days: int
) -> Message:
    """The question whether an inactive subscriber still wants the list, after so many months."""
    return mail_writer.renderer.render(
        "repermission",
        link=ANSWER_PLACEHOLDER,
        months=months,
        wait_days=wait_days,
        **_list_mail_values(mail_writer.links, mailing_list),
    )


def _list_mail_values(links: Links, mailing_list: MailingList) -> dict[str, Any]:
    """The template values of every mail to a list."""
    return {
        "headers": {"List-Id": format_list_id(links, mailing_list)},
        "sender": mailing_list.sender_name,
        "language": mailing_list.language,
        "mailing_list": mailing_list,
        "links": links,
        "unsubscribe": UNSUBSCRIBE_PLACEHOLDER,
        "preferences": PREFERENCES_PLACEHOLDER,
        "reader": READER_PLACEHOLDER,
        "reader_html": READER_HTML_PLACEHOLDER,
    }


def hash_message(message: Message) -> str:
    """SHA-256 over all that a reader sees: subject, text and HTML."""
    whole = "\0".join((message.subject, message.text, message.html))
    return hashlib.sha256(whole.encode()).hexdigest()


def format_list_id(links: Links, mailing_list: MailingList) -> str:
    """The List-Id header (RFC 2919): stable, and the same for every subscriber."""
    host = urlsplit(links.base_url).hostname or "localhost"
    words = mailing_list.title.split()
    title = " ".join(filter(None, (_NOT_IN_QUOTED_STRING.sub("", word) for word in words)))
    return f'"{title}" <{mailing_list.slug}.{host}>'


def preview_message_for(message: Message, to: str, links: Links) -> Message:
    """The message as the reader `to` would get it, without links that change something."""
    values = {
        UNSUBSCRIBE_PLACEHOLDER: links.home(),
        PREFERENCES_PLACEHOLDER: links.home(),
        READER_PLACEHOLDER: to,
        READER_HTML_PLACEHOLDER: html.escape(to),
    }
    return replace(
        message,
        text=fill_placeholders(message.text, values),
        html=fill_placeholders(message.html, values),
    )


def build_test_message(message: Message, to: str, links: Links) -> Message:
    """The same, marked as a test in its subject."""
    return replace(preview_message_for(message, to, links), subject=f"[Test] {message.subject}")


def make_edition(
    session: Session,
    mailing_list: MailingList,
    slot: Slot,
    occasion: str = DIGEST_OCCASION,
    *,
    note_id: int | None = None,
    now: datetime,
) -> Edition | None:
    """An edition without content, which counts as missed; None where another process made it."""
    return insert_if_new(
        session,
        Edition,
        list_id=mailing_list.id,
        slot=slot.day,
        due_at=slot.due_at,
        made_at=now,
        state=EditionState.MISSED,
        occasion=occasion,
        note_id=note_id,
    )


def freeze_edition(edition: Edition, message: Message) -> None:
    """Give an edition its message, which never changes from here on."""
    edition.state = EditionState.FROZEN
    edition.message, edition.content_hash = asdict(message), hash_message(message)


def freeze_repermission_edition(
    session: Session, mailing_list: MailingList, message: Message, *, now: datetime
) -> Edition | None:
    """Freeze a re-permission edition; None where another request made one in the same second."""
    occasion = f"{REPERMISSION_OCCASION_PREFIX}{int(now.timestamp())}"
    slot = slot_at(now, mailing_list.zone)
    edition = make_edition(session, mailing_list, slot, occasion, now=now)
    if edition is not None:
        freeze_edition(edition, message)
    return edition
