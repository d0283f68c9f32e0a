"""How an edition reads as mail."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from nif.editions.scheduling import Slot
from nif.links import Links
from nif.mail.message import Message
from nif.mail.rendering import Stationery
from nif.stories.history import Told
from nif.stories.models import Revision
from nif.subscriptions.models import MailingList

UNSUBSCRIBE_TAG = "%nif.unsubscribe%"
PREFERENCES_TAG = "%nif.preferences%"
READER_TAG = "%nif.reader%"
READER_HTML_TAG = "%nif.reader_html%"
"""What each copy replaces: the two links, and the address that it goes to. Providers do not
escape what they put in, so the address comes in two forms."""


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

    Corrections stand before the news; there may be nothing else. `root` is what the foot says of
    the ledger: each inbox is then a witness of what it was.
    """
    return desk.stationery.write(
        "digest",
        headers={"List-Id": list_id(desk.links, mailing_list)},
        mailing_list=mailing_list,
        slot=slot,
        stories=stories,
        root=root,
        corrections=corrections,
        links=desk.links,
        unsubscribe=UNSUBSCRIBE_TAG,
        preferences=PREFERENCES_TAG,
        reader=READER_TAG,
        reader_html=READER_HTML_TAG,
    )


def list_id(links: Links, mailing_list: MailingList) -> str:
    """The list's name for mail programs (RFC 2919): stable, and the same for every reader."""
    host = urlsplit(links.base_url).hostname or "localhost"
    words = mailing_list.title.split()
    title = " ".join(filter(None, (_NOT_IN_NAME.sub("", word) for word in words)))
    return f'"{title}" <{mailing_list.slug}.{host}>'
