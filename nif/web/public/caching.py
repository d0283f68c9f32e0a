"""Pages kept in memory until the shelf changes.

A page is the same for every reader but for the ticket in its form, which is put in as it is
served. What is kept is asked for by the shelf's version, so a page from before a change is never
served, in any process.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import time

from flask import Response, current_app, request

from nif.stories.publishing import SHELF_VERSION
from nif.tokens import Purpose
from nif.web.current import parts, tokens

MOST_PAGES = 1000
TICKET = "form-ticket-goes-here"
"""Stands in a rendered page where the form's ticket belongs."""

FRESH = "public, max-age=0, must-revalidate"


@dataclass(frozen=True)
class KeptPage:
    body: bytes
    etag: str


class PageCache:
    """The most recently asked-for pages, by address and version."""

    def __init__(self) -> None:
        self._pages: OrderedDict[tuple[str, int], KeptPage] = OrderedDict()
        self._lock = Lock()

    def get(self, key: tuple[str, int], render: Callable[[], str]) -> KeptPage:
        """The page under `key`, rendered where it is not kept."""
        with self._lock:
            page = self._pages.get(key)
            if page is not None:
                self._pages.move_to_end(key)
                return page
        body = render().encode()
        page = KeptPage(body, hashlib.sha256(body).hexdigest()[:20])
        with self._lock:
            self._pages[key] = page
            while len(self._pages) > MOST_PAGES:
                self._pages.popitem(last=False)
        return page


def kept(
    render: Callable[[], str], mimetype: str = "text/html", *, by: str | None = None
) -> Response:
    """The answer for this request's page: from memory, or 304 where the reader has it.

    `by` is what else tells pages at one address apart; where it is not given, the `after` behind
    the question mark. Whatever else stands there makes no other page.
    """
    cache: PageCache = current_app.extensions["nif_pages"]
    address = f"{request.path}?{request.args.get('after', '') if by is None else by}"
    version = parts().database.look_up(SHELF_VERSION) or 0
    page = cache.get((address, version), render)
    response = Response(mimetype=mimetype)
    response.set_etag(page.etag, weak=True)
    response.headers["Cache-Control"] = FRESH
    if request.if_none_match.contains_weak(page.etag):
        response.status_code = 304
        return response
    has_form = mimetype == "text/html"
    response.data = page.body.replace(TICKET.encode(), ticket().encode()) if has_form else page.body
    return response


def ticket() -> str:
    """What a form carries to show when it was handed out."""
    return tokens().make(Purpose.FORM, int(time()))
