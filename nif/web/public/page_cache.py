"""Rendered pages, cached in memory until the page version changes.

A page is the same for every reader, except for the ticket in its form, which is inserted when it is
served. The cache key contains the page version in the database, so no process serves a page from
before a change.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from threading import Lock
from time import time
from typing import Any

from flask import Blueprint, Response, current_app, request

from nif.clock import utc_now
from nif.stories.publishing import PAGE_VERSION
from nif.tokens import TokenPurpose
from nif.web.access import Access, open_to
from nif.web.current import reading, services, tokens

MAX_CACHED_PAGES = 1000
FORM_TICKET_PLACEHOLDER = "form-ticket-goes-here"
"""Marks the place of the form's ticket in a rendered page."""

REVALIDATE = "public, max-age=0, must-revalidate"


@dataclass(frozen=True)
class CachedPage:
    body: bytes
    etag: str


class PageCache:
    """The most recently requested pages, by address and page version."""

    def __init__(self) -> None:
        self._pages: OrderedDict[tuple[str, int], CachedPage] = OrderedDict()
        self._lock = Lock()

    def get(self, key: tuple[str, int], render: Callable[[], str]) -> CachedPage:
        """The page under `key`, rendered if it is not cached."""
        with self._lock:
            page = self._pages.get(key)
            if page is not None:
                self._pages.move_to_end(key)
                return page
        body = render().encode()
        page = CachedPage(body, hashlib.sha256(body).hexdigest()[:20])
        with self._lock:
            self._pages[key] = page
            while len(self._pages) > MAX_CACHED_PAGES:
                self._pages.popitem(last=False)
        return page


def after_cursor() -> str:
    return request.args.get("after", "")


def address_alone() -> str:
    return ""


def this_minute() -> datetime:
    """For pages whose content changes without any change of the page version."""
    return utc_now().replace(second=0, microsecond=0)


def cached_page(
    blueprint: Blueprint,
    *addresses: str,
    mimetype: str = "text/html",
    by: Callable[[], object] = after_cursor,
) -> Callable[[Callable[..., str]], Callable[..., Response]]:
    """Make a function that renders a page the view of these addresses, open to everyone.

    It answers from the cache, or with 304 where the reader has the page. `by` tells apart pages
    that share an address. Other parameters do not make a different page.
    """

    def decorate(render: Callable[..., str]) -> Callable[..., Response]:
        @open_to(Access.PUBLIC)
        @wraps(render)
        def answer(**arguments: Any) -> Response:
            def render_page() -> str:
                with reading() as session:
                    return render(session, **arguments)

            return _answer(render_page, f"{request.path}?{by()}", mimetype)

        for address in addresses:
            blueprint.get(address)(answer)
        return answer

    return decorate


def _answer(render: Callable[[], str], address: str, mimetype: str) -> Response:
    cache: PageCache = current_app.extensions["nif_pages"]
    version = services().database.fetch_value(PAGE_VERSION) or 0
    page = cache.get((address, version), render)
    response = Response(mimetype=mimetype)
    response.set_etag(page.etag, weak=True)
    response.headers["Cache-Control"] = REVALIDATE
    if request.if_none_match.contains_weak(page.etag):
        response.status_code = 304
    elif mimetype == "text/html":
        ticket = make_form_ticket().encode()
        response.data = page.body.replace(FORM_TICKET_PLACEHOLDER.encode(), ticket)
    else:
        response.data = page.body
    return response


def make_form_ticket() -> str:
    """A ticket for a form, which shows when the form was handed out."""
    return tokens().make(TokenPurpose.FORM_TICKET, int(time()))
