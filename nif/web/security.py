"""The headers of every answer, and how far proxies and hosts are trusted.

A mail's HTML in a frame of one of our pages: it may carry its own styles, and run nothing.
"""

from urllib.parse import urlsplit

from flask import Flask, Response, abort, g, request
from secure import (
    ContentSecurityPolicy,
    PermissionsPolicy,
    ReferrerPolicy,
    Secure,
    StrictTransportSecurity,
    XContentTypeOptions,
    XFrameOptions,
)
from werkzeug.middleware.proxy_fix import ProxyFix

from nif.settings import Settings
from nif.web.current import settings


def configure_security(app: Flask, settings: Settings) -> None:
    """Set what browsers are told, and whom we believe."""
    headers, framed = _security_headers(settings), _security_headers(settings, framed=True)

    @app.after_request
    def add_headers(response: Response) -> Response:
        chosen = framed if g.get("may_be_framed") else headers
        for name, value in chosen.items():
            response.headers.setdefault(name, value)
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
        return response

    @app.before_request
    def refuse_nuls() -> None:
        # No person types one, and PostgreSQL stores none.
        values = (*request.args.values(), *request.form.values())
        if "\0" in request.path or any("\0" in value for value in values):
            abort(400)

    app.config["TRUSTED_HOSTS"] = list(_trusted_hosts(settings))
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]


def allow_framing() -> None:
    """Let the page that answers this request stand in a frame on any site.

    No other page may. There is nothing in it that a trick with frames could make anyone do: it
    knows no cookie, and what it asks for is confirmed by mail.
    """
    g.may_be_framed = True


def _trusted_hosts(settings: Settings) -> tuple[str, ...]:
    own = urlsplit(settings.base_url).hostname or "localhost"
    local = () if settings.in_production else ("localhost", "127.0.0.1")
    return (own, *local, *settings.trusted_hosts)


def media_origins(settings: Settings) -> tuple[str, ...]:
    """Where the files of pictures come from, if not from here."""
    parts = urlsplit(settings.media_base_url)
    return (f"{parts.scheme}://{parts.netloc}",) if parts.netloc else ()


def _security_headers(settings: Settings, *, framed: bool = False) -> dict[str, str]:
    policy = (
        ContentSecurityPolicy()
        .default_src("'none'")
        .style_src("'self'")
        .script_src("'self'")
        .img_src("'self'", "data:", *media_origins(settings))
        .connect_src("'self'")
        .worker_src("'self'")
        .frame_src("'self'")
        .form_action("'self'")
        .frame_ancestors("*" if framed else "'none'")
        .base_uri("'none'")
    )
    secure = Secure(
        csp=policy,
        xcto=XContentTypeOptions().nosniff(),
        xfo=None if framed else XFrameOptions().deny(),
        referrer=ReferrerPolicy().same_origin(),
        permissions=PermissionsPolicy().camera().microphone().geolocation(),
        hsts=StrictTransportSecurity().max_age(31536000)
        if settings.base_url.startswith("https://")
        else None,
    )
    return dict(secure.headers)


def framed_mail_response(html: str) -> Response:
    """The page that only a page of this site may frame."""
    pictures = " ".join(("'self'", *media_origins(settings())))
    response = Response(html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src {pictures}; frame-ancestors 'self'"
    )
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response
