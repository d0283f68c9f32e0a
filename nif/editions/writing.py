"""How an edition reads as mail."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from nif.editions.models import Edition
from nif.editions.scheduling import Slot
from nif.links import Links
from nif.mail.message import Message
from nif.mail.rendering import Stationery
from nif.media.freezing import AI_LABELS, file_of
from nif.media.models import Shape
from nif.stories.history import Told
from nif.stories.kinds import ChangeKind
from nif.stories.models import Revision
from nif.stories.notes import as_sentence
from nif.subscriptions.models import MailingList

UNSUBSCRIBE_TAG = "%nif.unsubscribe%"
PREFERENCES_TAG = "%nif.preferences%"
READER_TAG = "%nif.reader%"
ANSWER_TAG = "%nif.answer%"
READER_HTML_TAG = "%nif.reader_html%"
"""What each copy replaces: the two links, where something is asked the link to answer by, and the
address that it goes to. Providers do not escape what they put in, so that comes in two forms."""

CALLED = {ChangeKind.RETRACTION: "Retraction"}
"""What a mail about a note is called, where that is not the note's own label."""

SINCE = {
    ChangeKind.RETRACTION: "and have retracted it since",
    ChangeKind.REMOVAL: "and have removed it since",
}
"""What became of a story that was mailed, where it was not corrected."""


PICTURE_WIDTH = 960
"""Pixels of the file; it is shown at half of them, so that it is sharp on a telephone."""


_NOT_IN_NAME = re.compile(r"[^!#-\[\]-~]")
"""All but what can stand between the quotes of a header without being escaped."""


@dataclass(frozen=True)
class Desk:
    """What writing a mail needs: the house's templates and addresses."""

    stationery: Stationery
    links: Links


def digest_message(
    desk: Desk,
    mailing_list: MailingList,
    slot: Slot,
    stories: Sequence[Revision],
    root: str | None = None,
    corrections: Sequence[Told] = (),
) -> Message:
    """The digest of a slot, with the tags that each reader's copy replaces.

    Corrections stand before the news; there may be nothing else. The first story shows the picture
    that leads it, in the HTML alone. `root` is what the foot says of
    the ledger: each inbox is then a witness of what it was.
    """
    return desk.stationery.write(
        "digest",
        slot=slot,
        stories=stories,
        root=root,
        corrections=corrections,
        picture=_picture(desk.links, stories[0]) if stories else None,
        **_addressed(desk.links, mailing_list),
    )


def _picture(links: Links, story: Revision) -> dict[str, Any] | None:
    """What the mail shows of a story's picture: {"address", "alt", "label", "credit"}."""
    record = story.picture
    if not record:
        return None
    name, _, _ = file_of(record, Shape.WIDE, width=PICTURE_WIDTH)
    label = AI_LABELS.get(record["ai_use"], "")
    facts = {"alt": record["alt"], "label": label, "credit": record["credit"]}
    return {"address": links.picture(name), **facts}


def correction_message(
    desk: Desk,
    mailing_list: MailingList,
    slot: Slot,
    told: Told,
    mailed: Edition,
    root: str | None = None,
) -> Message:
    """The mail that sets one thing right; `mailed` is the edition that had it wrong."""
    return desk.stationery.write(
        "correction",
        slot=slot,
        told=told,
        called=CALLED.get(told.note.kind, told.note.label),
        since=SINCE.get(told.note.kind, "and it was seriously wrong"),
        wrong=as_sentence(told.note.was),
        right=as_sentence(told.note.now_),
        mailed=mailed,
        root=root,
        **_addressed(desk.links, mailing_list),
    )


def confirmation_message(desk: Desk, mailing_list: MailingList, basis: str) -> Message:
    """The question whether an address really wants a list, to people whom staff brought in.

    `basis` is what staff said of where the addresses came from.
    """
    return desk.stationery.write(
        "confirm",
        link=ANSWER_TAG,
        basis=" ".join(basis.split()),
        **_addressed(desk.links, mailing_list),
    )


def staying_message(
    desk: Desk, mailing_list: MailingList, *, months: int, wait_days: int
) -> Message:
    """The question whether a reader still wants a list, after so many months without a sign."""
    return desk.stationery.write(
        "staying",
        link=ANSWER_TAG,
        months=months,
        wait_days=wait_days,
        **_addressed(desk.links, mailing_list),
    )


def _addressed(links: Links, mailing_list: MailingList) -> dict[str, Any]:
    """What every mail to a list has: whose it is, and what each copy replaces."""
    return {
        "headers": {"List-Id": list_id(links, mailing_list)},
        "sender": mailing_list.sender_name,
        "language": mailing_list.language,
        "mailing_list": mailing_list,
        "links": links,
        "unsubscribe": UNSUBSCRIBE_TAG,
        "preferences": PREFERENCES_TAG,
        "reader": READER_TAG,
        "reader_html": READER_HTML_TAG,
    }


def hash_of(message: Message) -> str:
    """SHA-256 over all that a reader sees: subject, text and HTML."""
    whole = "\0".join((message.subject, message.text, message.html))
    return hashlib.sha256(whole.encode()).hexdigest()


def list_id(links: Links, mailing_list: MailingList) -> str:
    """The list's name for mail programs (RFC 2919): stable, and the same for every reader."""
    host = urlsplit(links.base_url).hostname or "localhost"
    words = mailing_list.title.split()
    title = " ".join(filter(None, (_NOT_IN_NAME.sub("", word) for word in words)))
    return f'"{title}" <{mailing_list.slug}.{host}>'
