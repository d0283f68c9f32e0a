"""Building the web application from its services."""

from uuid import uuid4

import structlog
from flask import Flask, g, request
from flask_wtf import CSRFProtect
from jinja2 import StrictUndefined

from nif.errors import Misconfigured
from nif.logs import configure_logging
from nif.schema import is_schema_current
from nif.services import Services, build_services
from nif.settings import PROJECT, MailerName, Settings
from nif.web import routes
from nif.web.access import enforce_access, skip_login_for_public_views
from nif.web.errors import register_error_handlers
from nif.web.files import enforce_upload_limits
from nif.web.filters import STATIC_FOLDER, register_filters
from nif.web.login import set_up_login
from nif.web.public.page_cache import PageCache
from nif.web.security import configure_security

MAX_REQUEST_BYTES = 2_500_000
"""The webhook's posts are the largest requests expected; uploads have limits of their own."""


def create_app(settings: Settings, *, check: bool = True) -> Flask:
    """A web application for `settings`.

    With `check`, raises Misconfigured unless the database can be reached and its schema is up to
    date.
    """
    configure_logging(settings)
    services = build_services(settings)
    if check:
        check_database(services)
    services.database.keep_connection_for_events()
    return build_app(services)


def check_database(services: Services) -> None:
    """Raises Misconfigured, with what to do, where the database is unreachable or out of date."""
    services.database.check_reachable()
    if not is_schema_current(services.database):
        raise Misconfigured("The database schema is out of date: run `nif db upgrade` first.")


def build_app(services: Services) -> Flask:
    """The application around services that were built before."""
    settings = services.settings
    app = Flask("nif", template_folder=str(PROJECT / "templates"), static_folder=str(STATIC_FOLDER))
    app.extensions["nif"] = services
    app.config.update(
        SECRET_KEY=settings.keys[0],
        SECRET_KEY_FALLBACKS=list(settings.keys[1:]),
        MAX_CONTENT_LENGTH=MAX_REQUEST_BYTES,
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,
        SEND_FILE_MAX_AGE_DEFAULT=31536000,
    )
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.url_map.strict_slashes = False
    app.url_map.converters["id"] = routes.RowIdConverter
    app.extensions["nif_pages"] = PageCache()
    _tag_requests_with_ids(app)
    enforce_upload_limits(app, settings)
    configure_security(app, settings)
    skip_login_for_public_views(app)
    set_up_login(app, services)
    enforce_access(app, CSRFProtect(app))
    register_error_handlers(app)
    register_filters(app, settings)
    for blueprint in routes.list_blueprints(outbox_is_open=settings.mailer is MailerName.OUTBOX):
        app.register_blueprint(blueprint)
    return app


def _tag_requests_with_ids(app: Flask) -> None:
    """Give each request an id, for its log lines and its response's `X-Request-Id`."""

    @app.before_request
    def assign_id() -> None:
        g.request_id = uuid4().hex[:12]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id, method=request.method)

    @app.after_request
    def add_header(response):  # type: ignore[no-untyped-def]
        response.headers["X-Request-Id"] = g.get("request_id", "")
        return response
