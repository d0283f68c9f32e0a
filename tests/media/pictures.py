"""Pictures in a library, for tests."""

from collections.abc import Iterable
from io import BytesIO
from itertools import count
from typing import Any

from PIL import Image
from sqlalchemy.orm import Session

from nif.errors import NotFound
from nif.media.describing import Description
from nif.media.keeping import Taken, keep
from nif.media.models import Format, Picture, Rendition, Shape, SourceType
from nif.media.opening import master_of
from nif.media.processing import formats, sizes
from nif.media.storing import ENDINGS, Storage, name_of
from tests.conftest import NOON
from tests.media.drawing import a_picture

_number = count(1)


class Drawer:
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


def said(**given: Any) -> Description:
    words = {
        "alt": "A red wall beside a blue one",
        "credit": "Ana Ruiz/NIF",
        "licence": "CC BY 4.0",
        "licence_url": "https://creativecommons.org/licenses/by/4.0/",
        "source_type": SourceType.CAPTURE,
        **given,
    }
    return Description(**words)


def taken(storage: Storage, image: Image.Image | None = None, **given: Any) -> Taken:
    """A picture whose master is in the storage."""
    image = image or a_picture()
    sha256 = f"{next(_number):064x}"
    master = master_of(image)
    name = name_of(master, "master", of=sha256)
    storage.put(name, master)
    facts: dict[str, Any] = {"had_provenance": False, **given}
    return Taken(sha256, name, image.width, image.height, **facts)


def kept(session: Session, storage: Storage | None = None, **given: Any) -> Picture:
    """A picture in the library whose files were not made yet."""
    return keep(session, taken(storage or Drawer()), said(**given), by=None, now=NOON)


def ready(session: Session, **given: Any) -> Picture:
    """A picture in the library with all its files on record, though nobody drew them."""
    picture = kept(session, **given)
    for shape in Shape:
        for size in sizes(shape, 900, 600):
            for format_ in formats(shape):
                session.add(_a_file(picture, shape, format_, size))
    picture.made = picture.wanted
    session.flush()
    session.expire(picture, ["renditions"])
    return picture


def _a_file(picture: Picture, shape: Shape, format_: Format, size: tuple[int, int]) -> Rendition:
    name = name_of(repr((shape, format_, size)).encode(), ENDINGS[format_], of=picture.sha256)
    return Rendition(
        picture_id=picture.id,
        cut=picture.wanted,
        shape=shape,
        format=format_,
        width=size[0],
        height=size[1],
        size=1000,
        name=name,
    )


def look_at(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image
