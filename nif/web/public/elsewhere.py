"""Forms of ours that stand on other sites: which site that is, and that the form is ours."""

from urllib.parse import urlsplit

from flask import request

from nif.errors import NotFound
from nif.subscriptions.models import MailingList
from nif.tokens import Purpose
from nif.web.current import settings, tokens

LONGEST_ORIGIN = 100
UNTOLD = "another site"
"""Where a form stood of which the browser does not say where it stood."""


def other_site() -> str:
    """The site whose form was sent, such as `https://example.com`; empty where it is our own.

    It is what a browser says, and never a whole address.
    """
    try:
        origin = urlsplit(request.headers.get("Origin", ""))
        is_ours = origin.netloc in {request.host, urlsplit(settings().base_url).netloc}
        if origin.scheme in {"http", "https"} and origin.hostname and not is_ours:
            return f"{origin.scheme}://{origin.netloc}"[:LONGEST_ORIGIN]
    except ValueError:
        pass
    return UNTOLD if "key" in request.form else ""


def opens(key: str, mailing_list: MailingList) -> bool:
    """Is this the key in the form of a list that was made to stand on other sites?

    It stands in the place of a ticket, for such a form cannot say when it was shown.
    """
    try:
        return tokens().open(Purpose.EMBED, key)[0] == mailing_list.id
    except NotFound:
        return False
