"""Picture files. A file's name is a hash of its content, so it may be cached for ever."""

from flask import Blueprint, Response, request

from nif.media.storage import media_type_of
from nif.web.access import Access, open_to
from nif.web.current import services

blueprint = Blueprint("media", __name__)

MEDIA_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    # Opened alone, a file must act as a picture, whatever its content type is taken for.
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


@blueprint.get("/media/<name>")
@open_to(Access.PUBLIC)
def show(name: str) -> Response:
    kind = media_type_of(name)
    response = Response(mimetype=kind, headers=MEDIA_HEADERS)
    response.set_etag(name.partition(".")[0])
    if name.partition(".")[0] in request.if_none_match:
        response.status_code = 304
        return response
    response.data = services().storage.get(name)
    return response
