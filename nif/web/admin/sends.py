"""To be written."""

from flask import Blueprint

blueprint = Blueprint("admin_sends", __name__, url_prefix="/admin")
