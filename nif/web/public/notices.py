"""The small files that programs look for: robots.txt, trust.txt, ads.txt and security.txt."""

from datetime import timedelta

from flask import Blueprint, Response, render_template

from nif.clock import utc_now
from nif.web.access import Access, open_to
from nif.web.current import links
from nif.web.filters import iso
from nif.web.public.caching import kept
from nif.web.public.crawlers import TRAINING

PLAIN = "text/plain"
GOOD_FOR = timedelta(days=180)
"""RFC 9116 asks for less than a year."""

blueprint = Blueprint("notices", __name__)


@blueprint.get("/robots.txt")
@open_to(Access.PUBLIC)
def robots() -> Response:
    return _notice("robots", training=TRAINING)


@blueprint.get("/trust.txt")
@blueprint.get("/.well-known/trust.txt")
@open_to(Access.PUBLIC)
def trust() -> Response:
    return _notice("trust")


@blueprint.get("/ads.txt")
@open_to(Access.PUBLIC)
def ads() -> Response:
    return _notice("ads")


@blueprint.get("/.well-known/security.txt")
@open_to(Access.PUBLIC)
def security() -> Response:
    """Its date moves on by itself, once a day."""
    expires = iso(utc_now().replace(hour=0, minute=0, second=0) + GOOD_FOR)
    return _notice("security", expires=expires)


def _notice(name: str, **words: object) -> Response:
    def render() -> str:
        return render_template(f"public/notices/{name}.txt", links=links(), **words)

    return kept(render, PLAIN, by=str(words.get("expires", "")))
