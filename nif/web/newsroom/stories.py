"""To be written."""

from flask import Blueprint

blueprint = Blueprint("newsroom_stories", __name__, url_prefix="/newsroom")
