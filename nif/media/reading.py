"""What the desk asks for: the library, newest first, what is found in it, what is chosen of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select
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


def choices(session: Session, chosen: Collection[int], *, most: int = 50) -> Sequence[Picture]:
    """The newest pictures to choose among, with those that are chosen, newest first."""
    newest = select(Picture.id).order_by(Picture.id.desc()).limit(most).scalar_subquery()
    query = select(Picture).where(or_(Picture.id.in_(newest), Picture.id.in_(list(chosen))))
    return session.scalars(query.order_by(Picture.id.desc())).all()


def by_id(session: Session, ids: Collection[int]) -> dict[int, Picture]:
    """These pictures with their files, as far as there are such."""
    if not ids:
        return {}
    query = select(Picture).where(Picture.id.in_(list(ids)))
    found = session.scalars(query.options(selectinload(Picture.renditions)))
    return {picture.id: picture for picture in found}


def _place(after: str) -> int:
    """Raises NotFound for a place that no page of ours named."""
    if not (after.isascii() and after.isdigit() and len(after) < 19):
        raise NotFound("There is no such page.")
    return int(after)
