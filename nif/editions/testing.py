"""An edition as one person gets it to look at, before or beside those whom it is for."""

import html
from dataclasses import replace

from nif.editions.writing import (
    PREFERENCES_TAG,
    READER_HTML_TAG,
    READER_TAG,
    UNSUBSCRIBE_TAG,
)
from nif.links import Links
from nif.mail.message import Message, fill


def as_read_by(message: Message, to: str, links: Links) -> Message:
    """A message as the reader `to` would get it, but for links that would change something."""
    values = {
        UNSUBSCRIBE_TAG: links.home(),
        PREFERENCES_TAG: links.home(),
        READER_TAG: to,
        READER_HTML_TAG: html.escape(to),
    }
    return replace(message, text=fill(message.text, values), html=fill(message.html, values))


def as_test(message: Message, to: str, links: Links) -> Message:
    """The same, marked as a test in its subject."""
    return replace(as_read_by(message, to, links), subject=f"[Test] {message.subject}")
