"""The one place where the parts are joined."""

from uuid import uuid4

import structlog
from flask import Flask, g, request
from flask_wtf import CSRFProtect
from jinja2 import StrictUndefined

from nif.errors import Misconfigured
from nif.logs import set_up_logs
from nif.parts import Parts, assemble
from nif.schema import is_current
from nif.settings import PROJECT, MailerName, Settings
from nif.web import routes
from nif.web.access import guard, spare_readers
from nif.web.errors import register_errors
from nif.web.filters import STATIC, register_filters
from nif.web.login import set_up_login
from nif.web.public.caching import PageCache
from nif.web.security import protect
from nif.web.uploads import receive_files

LARGEST_REQUEST = 2_500_000
"""Bytes. The webhook's posts are the largest that we expect."""


def create_app(settings: Settings, *, check: bool = True) -> Flask:
    """A web application for `settings`.

    With `check`, raises Misconfigured unless the database can be reached and has the schema that
    this code expects.
    """
    set_up_logs(settings)
    parts = assemble(settings)
    if check:
        check_database(parts)
    return join(parts)


def check_database(parts: Parts) -> None:
    """Raises Misconfigured, with the sentence that says what to do."""
    parts.database.check_reachable()
    if not is_current(parts.database):
        raise Misconfigured(
            "The database has not the tables that this version of NIF expects: "
            "run `nif db upgrade` first."
        )


def join(parts: Parts) -> Flask:
    """The application around parts that were made before."""
    settings = parts.settings
    app = Flask("nif", template_folder=str(PROJECT / "templates"), static_folder=str(STATIC))
    app.extensions["nif"] = parts
    app.config.update(
        SECRET_KEY=settings.keys[0],
        SECRET_KEY_FALLBACKS=list(settings.keys[1:]),
        MAX_CONTENT_LENGTH=LARGEST_REQUEST,
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,
        SEND_FILE_MAX_AGE_DEFAULT=31536000,
    )
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.url_map.strict_slashes = False
    app.extensions["nif_pages"] = PageCache()
    _name_requests(app)
    receive_files(app, settings)
    protect(app, settings)
    spare_readers(app)
    set_up_login(app, parts)
    guard(app, CSRFProtect(app))
    register_errors(app)
    register_filters(app, settings)
    for blueprint in routes.blueprints(outbox_is_open=settings.mailer is MailerName.OUTBOX):
        app.register_blueprint(blueprint)
    return app


def _name_requests(app: Flask) -> None:
    """Give each request an id that stands in each of its log lines and in its answer."""

    @app.before_request
    def name() -> None:
        g.request_id = uuid4().hex[:12]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id, method=request.method)

    @app.after_request
    def tell(response):  # type: ignore[no-untyped-def]
        response.headers["X-Request-Id"] = g.get("request_id", "")
        return response
