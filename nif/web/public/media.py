"""The files of pictures. What has a name never changes, so a reader asks for it once."""

from flask import Blueprint, Response, request

from nif.media.storing import type_of
from nif.web.access import Access, open_to
from nif.web.current import parts

blueprint = Blueprint("media", __name__)

HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    # Whoever opens a file by itself opens a picture, whatever a browser might make of it.
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


@blueprint.get("/media/<name>")
@open_to(Access.PUBLIC)
def file(name: str) -> Response:
    kind = type_of(name)
    response = Response(mimetype=kind, headers=HEADERS)
    response.set_etag(name.partition(".")[0])
    if name.partition(".")[0] in request.if_none_match:
        response.status_code = 304
        return response
    response.data = parts().storage.get(name)
    return response
