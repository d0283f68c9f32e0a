"""Pictures in a library, for tests."""

from collections.abc import Iterable
from io import BytesIO
from itertools import count
from typing import Any

from PIL import Image
from sqlalchemy.orm import Session

from nif.errors import NotFound
from nif.media.library import PictureDescription, add_picture
from nif.media.models import DigitalSourceType, Picture, PictureFormat, PictureShape, Rendition
from nif.media.renditions import rendition_formats_of, rendition_sizes_of
from nif.media.storage import EXTENSIONS, MediaStorage, content_file_name
from nif.media.uploads import encode_master
from tests.conftest import NOON
from tests.media.drawing import a_picture

_number = count(1)


class MemoryStorage:
    """A storage in memory."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def put(self, name: str, data: bytes) -> None:
        self.files[name] = data

    def get(self, name: str) -> bytes:
        if name not in self.files:
            raise NotFound("There is no such picture.")
        return self.files[name]

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            self.files.pop(name, None)


def a_description(**given: Any) -> PictureDescription:
    words = {
        "alt": "A red wall beside a blue one",
        "credit": "Ana Ruiz/NIF",
        "licence": "CC BY 4.0",
        "licence_url": "https://creativecommons.org/licenses/by/4.0/",
        "source_type": DigitalSourceType.CAPTURE,
        **given,
    }
    return PictureDescription(**words)


def a_stored_upload(
    storage: MediaStorage, image: Image.Image | None = None, **given: Any
) -> Picture:
    """A picture whose master is in the storage."""
    image = image or a_picture()
    sha256 = f"{next(_number):064x}"
    master = encode_master(image)
    name = content_file_name(master, "master", of=sha256)
    storage.put(name, master)
    facts: dict[str, Any] = {"had_provenance": False, "declared_source_type": "", **given}
    width, height = image.size
    return Picture(sha256=sha256, master=name, width=width, height=height, **facts)


def an_unprepared_picture(
    session: Session, storage: MediaStorage | None = None, **given: Any
) -> Picture:
    """A picture in the library without files."""
    return add_picture(
        session,
        a_stored_upload(storage or MemoryStorage()),
        a_description(**given),
        by=None,
        now=NOON,
    )


def a_ready_picture(session: Session, **given: Any) -> Picture:
    """A picture in the library with all its files recorded, but not rendered."""
    picture = an_unprepared_picture(session, **given)
    for shape in PictureShape:
        for size in rendition_sizes_of(shape, 900, 600):
            for format_ in rendition_formats_of(shape):
                session.add(_a_file(picture, shape, format_, size))
    picture.ready_set = picture.requested_set
    session.flush()
    session.expire(picture, ["renditions"])
    return picture


def _a_file(
    picture: Picture, shape: PictureShape, format_: PictureFormat, size: tuple[int, int]
) -> Rendition:
    name = content_file_name(
        repr((shape, format_, size)).encode(), EXTENSIONS[format_], of=picture.sha256
    )
    return Rendition(
        picture_id=picture.id,
        set_number=picture.requested_set,
        shape=shape,
        format=format_,
        width=size[0],
        height=size[1],
        size=1000,
        name=name,
    )


def decode_image(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image
