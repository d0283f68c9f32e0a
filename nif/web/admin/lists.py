"""To be written."""

from flask import Blueprint

blueprint = Blueprint("admin_lists", __name__, url_prefix="/admin")
