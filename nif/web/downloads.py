"""Files that a browser saves instead of showing them."""

from collections.abc import Iterable

from flask import Response

DOWNLOAD_MEDIA_TYPES = {"csv": "text/csv", "json": "application/json"}


def download_response(body: str | Iterable[str], name: str) -> Response:
    """An answer to be saved under `name`, whose ending says what it is: .csv or .json."""
    response = Response(body, mimetype=DOWNLOAD_MEDIA_TYPES[name.rpartition(".")[2]])
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
