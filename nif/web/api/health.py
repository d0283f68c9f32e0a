"""Health checks: is the process alive, and can it serve requests?"""

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError

from nif.errors import Misconfigured
from nif.schema import is_schema_current
from nif.web.access import Access, open_to
from nif.web.current import services

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@open_to(Access.MACHINE)
def liveness() -> ResponseReturnValue:
    return jsonify(status="ok")


@blueprint.get("/readyz")
@open_to(Access.MACHINE)
def readiness() -> ResponseReturnValue:
    database = services().database
    try:
        database.check_reachable()
        current = is_schema_current(database)
    except (Misconfigured, OperationalError):
        return jsonify(status="unavailable", reason="the database does not answer"), 503
    if not current:
        return jsonify(status="unavailable", reason="the database is not migrated"), 503
    return jsonify(status="ok")
