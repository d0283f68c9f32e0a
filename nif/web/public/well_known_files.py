"""Files at fixed addresses for programs: robots.txt, trust.txt, ads.txt and security.txt."""

from datetime import timedelta

from flask import Blueprint, Response, render_template

from nif.clock import utc_now
from nif.web.access import Access, open_to
from nif.web.current import links
from nif.web.filters import format_timestamp
from nif.web.public.page_cache import cached_response
from nif.web.public.policies import TRAINING_CRAWLERS

PLAIN_TEXT = "text/plain"
SECURITY_TXT_VALID_FOR = timedelta(days=180)
"""RFC 9116 recommends less than a year."""

blueprint = Blueprint("well_known_files", __name__)


@blueprint.get("/robots.txt")
@open_to(Access.PUBLIC)
def robots() -> Response:
    return _cached_file("robots", training=TRAINING_CRAWLERS)


@blueprint.get("/trust.txt")
@blueprint.get("/.well-known/trust.txt")
@open_to(Access.PUBLIC)
def trust() -> Response:
    return _cached_file("trust")


@blueprint.get("/ads.txt")
@open_to(Access.PUBLIC)
def ads() -> Response:
    return _cached_file("ads")


@blueprint.get("/.well-known/security.txt")
@open_to(Access.PUBLIC)
def security() -> Response:
    """Its expiry date moves forward once a day."""
    expires = format_timestamp(
        utc_now().replace(hour=0, minute=0, second=0) + SECURITY_TXT_VALID_FOR
    )
    return _cached_file("security", expires=expires)


def _cached_file(name: str, **words: object) -> Response:
    def render() -> str:
        return render_template(f"public/well_known_files/{name}.txt", links=links(), **words)

    return cached_response(render, PLAIN_TEXT, by=str(words.get("expires", "")))
