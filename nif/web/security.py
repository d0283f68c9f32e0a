"""The headers of every answer, and how far proxies and hosts are trusted."""

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


def protect(app: Flask, settings: Settings) -> None:
    """Set what browsers are told, and whom we believe."""
    headers, framed = _headers(settings), _headers(settings, framed=True)

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

    app.config["TRUSTED_HOSTS"] = list(_hosts(settings))
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]


def let_be_framed() -> None:
    """Let the page that answers this request stand in a frame on any site.

    No other page may. There is nothing in it that a trick with frames could make anyone do: it
    knows no cookie, and what it asks for is confirmed by mail.
    """
    g.may_be_framed = True


def _hosts(settings: Settings) -> tuple[str, ...]:
    own = urlsplit(settings.base_url).hostname or "localhost"
    local = () if settings.in_production else ("localhost", "127.0.0.1")
    return (own, *local, *settings.trusted_hosts)


def elsewhere(settings: Settings) -> tuple[str, ...]:
    """Where the files of pictures come from, if not from here."""
    parts = urlsplit(settings.media_base_url)
    return (f"{parts.scheme}://{parts.netloc}",) if parts.netloc else ()


def _headers(settings: Settings, *, framed: bool = False) -> dict[str, str]:
    policy = (
        ContentSecurityPolicy()
        .default_src("'none'")
        .style_src("'self'")
        .script_src("'self'")
        .img_src("'self'", "data:", *elsewhere(settings))
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
