"""Security headers, trusted proxies and hosts, and pages that may be framed."""

from urllib.parse import urlsplit

import secure
from flask import Flask, Response, abort, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from nif.settings import Settings
from nif.web.current import services


def configure_security(app: Flask, settings: Settings) -> None:
    """Configure security headers and trusted proxies and hosts."""
    headers, framed = _security_headers(settings), _security_headers(settings, framed=True)

    @app.after_request
    def add_headers(response: Response) -> Response:
        selected = framed if g.get("allows_framing") else headers
        for name, value in selected.items():
            response.headers.setdefault(name, value)
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
        return response

    @app.before_request
    def refuse_nul_characters() -> None:
        # Nobody types a NUL character, and PostgreSQL cannot store one.
        values = (*request.args.values(), *request.form.values())
        if "\0" in request.path or any("\0" in value for value in values):
            abort(400)

    app.config["TRUSTED_HOSTS"] = list(_trusted_hosts(settings))
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]


def allow_framing() -> None:
    """Allow any site to frame the page of this request. All other pages refuse framing.

    Clickjacking gains nothing there: the page uses no cookie, and a sign-up is confirmed by mail.
    """
    g.allows_framing = True


def framed_mail_response(html: str) -> Response:
    """A mail's HTML as a page that only this site may frame.

    It may use its own styles but run no script.
    """
    pictures = " ".join(("'self'", *media_origins(services().settings)))
    response = Response(html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src {pictures}; frame-ancestors 'self'"
    )
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


def media_origins(settings: Settings) -> tuple[str, ...]:
    """The origin of picture files, if they are served from another one."""
    parts = urlsplit(settings.media_base_url)
    return (f"{parts.scheme}://{parts.netloc}",) if parts.netloc else ()


def _trusted_hosts(settings: Settings) -> tuple[str, ...]:
    own = urlsplit(settings.base_url).hostname or "localhost"
    local = () if settings.in_production else ("localhost", "127.0.0.1")
    return (own, *local, *settings.trusted_hosts)


def _security_headers(settings: Settings, *, framed: bool = False) -> dict[str, str]:
    policy = (
        secure.ContentSecurityPolicy()
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
    made = secure.Secure(
        csp=policy,
        xcto=secure.XContentTypeOptions().nosniff(),
        xfo=None if framed else secure.XFrameOptions().deny(),
        referrer=secure.ReferrerPolicy().same_origin(),
        permissions=secure.PermissionsPolicy().camera().microphone().geolocation(),
        hsts=secure.StrictTransportSecurity().max_age(31536000)
        if settings.base_url.startswith("https://")
        else None,
    )
    return dict(made.headers)
