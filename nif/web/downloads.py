"""Files that a browser saves instead of showing them."""

from collections.abc import Iterable

from flask import Response

DOWNLOAD_MEDIA_TYPES = {"csv": "text/csv", "json": "application/json"}


def download_response(body: str | Iterable[str], name: str) -> Response:
    """A response that the browser saves as `name`, which ends in .csv or .json."""
    response = Response(body, mimetype=DOWNLOAD_MEDIA_TYPES[name.rpartition(".")[2]])
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
