"""What the desk asks for: the library, newest first, and what is found in it by words."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from nif.errors import NotFound
from nif.media.models import Picture

MOST_WORDS = 8


@dataclass(frozen=True)
class PicturePage:
    """Some pictures, newest first, and where the next page begins."""

    pictures: Sequence[Picture]
    after: str | None


def library(
    session: Session, *, words: str = "", after: str | None = None, size: int = 24
) -> PicturePage:
    """A page of the pictures whose alt text, credit or caption have all of the words in them."""
    query = select(Picture).order_by(Picture.id.desc()).limit(size + 1)
    for word in words.casefold().split()[:MOST_WORDS]:
        query = query.where(Picture.words.contains(word, autoescape=True))
    if after:
        query = query.where(Picture.id < _place(after))
    found = session.scalars(query.options(selectinload(Picture.renditions))).all()
    return PicturePage(found[:size], str(found[size - 1].id) if len(found) > size else None)


def _place(after: str) -> int:
    """Raises NotFound for a place that no page of ours named."""
    if not (after.isascii() and after.isdigit() and len(after) < 19):
        raise NotFound("There is no such page.")
    return int(after)
