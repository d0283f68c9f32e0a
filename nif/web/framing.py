"""A mail's HTML in a frame of one of our pages: it may carry its own styles, and run nothing."""

from flask import Response

from nif.web.current import settings
from nif.web.security import elsewhere


def in_a_frame(html: str) -> Response:
    """The page that only a page of this site may frame."""
    pictures = " ".join(("'self'", *elsewhere(settings())))
    response = Response(html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src {pictures}; frame-ancestors 'self'"
    )
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response
