"""The library: taking a picture in, saying more about it, cutting it anew, letting it go.

What an editor says about a picture: the words beside it, whose it is, how it came to be.

What the desk asks for: the library, newest first, what is found in it, what is chosen of it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import case, delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from nif.errors import Conflict, Invalid, NotFound
from nif.links import is_web_address
from nif.media.models import DigitalSourceType, Picture, Rendition
from nif.media.renditions import SHAPE_RATIOS

MAX_FIELD_LENGTHS = {
    "alt": 500,
    "credit": 200,
    "credit_url": 2000,
    "licence": 200,
    "licence_url": 2000,
    "caption": 600,
}

AI_SOURCE_TERMS = {
    "trainedAlgorithmicMedia": (DigitalSourceType.BY_AI,),
    "compositeWithTrainedAlgorithmicMedia": (DigitalSourceType.BY_AI, DigitalSourceType.WITH_AI),
}
"""What a file may say of itself, and what may then be said of it."""


@dataclass(frozen=True)
class PictureDescription:
    """All that is said about a picture. A decorative one has no `alt`, every other one has."""

    credit: str
    source_type: DigitalSourceType
    alt: str = ""
    is_decorative: bool = False
    credit_url: str = ""
    licence: str = ""
    licence_url: str = ""
    caption: str = ""


def check_picture_description(said: PictureDescription, *, declared_source_type: str = "") -> None:
    """Raises Invalid where something is missing, too long, or at odds with the file itself.

    `declared_source_type` is the digital source type that the file names.
    """
    if found := dict(_description_problems(said, declared_source_type)):
        raise Invalid(found)


def picture_search_text_of(said: PictureDescription) -> str:
    """What a picture is found by: the same on all databases, whatever they hold for equal."""
    return " ".join((said.alt, said.credit, said.caption)).casefold()


def is_ai_use_undeclared(said: PictureDescription | Picture, declared_source_type: str) -> bool:
    """Does the file itself say that AI had a part in it, and we do not?"""
    allowed = AI_SOURCE_TERMS.get(declared_source_type)
    return allowed is not None and said.source_type not in allowed


def _description_problems(
    said: PictureDescription, declared_source_type: str
) -> Iterator[tuple[str, str]]:
    yield from _alt_problems(said)
    if not said.credit:
        yield "credit", "Say whose picture it is. Readers are told under it."
    for name in ("credit_url", "licence_url"):
        if (address := getattr(said, name)) and not is_web_address(address):
            yield name, "Give the whole address, beginning with https:// or http://."
    if is_ai_use_undeclared(said, declared_source_type):
        yield "source_type", "The file itself says that AI had a part in it. Say so here."
    for name, most in MAX_FIELD_LENGTHS.items():
        if len(getattr(said, name)) > most:
            yield name, f"Make this shorter: {most:,} characters are the most."


def _alt_problems(said: PictureDescription) -> Iterator[tuple[str, str]]:
    if said.is_decorative and said.alt:
        yield "alt", "A decorative picture is passed over by screen readers: leave this empty."
    elif not said.is_decorative and not said.alt:
        yield "alt", "Say what the picture shows, for whoever cannot see it, or mark it decorative."


RENDITION_FIELDS = (
    "credit",
    "licence",
    "licence_url",
    "source_type",
    "focus_x",
    "focus_y",
    "crops",
)
"""What the files of a picture follow: where one of these changes, they are made anew."""


@dataclass(frozen=True)
class StoredUpload:
    """A clean picture whose master is in the storage already."""

    sha256: str
    master: str
    width: int
    height: int
    had_provenance: bool
    declared_source_type: str = ""


@dataclass(frozen=True)
class PictureFraming:
    """Where a picture is cut: `crops` maps a shape to [left, top, width], all in 0..1."""

    focus_x: float = 0.5
    focus_y: float = 0.5
    crops: Mapping[str, Sequence[float]] = field(default_factory=dict)


class DuplicatePicture(Conflict):
    """The very same file is in the library; `picture_id` says where."""

    def __init__(self, picture_id: int) -> None:
        super().__init__("This very file is in the library already.")
        self.picture_id = picture_id


def check_not_in_library(session: Session, sha256: str) -> None:
    """Raises KnownAlready where a file with this hash was taken in before."""
    known = session.scalar(select(Picture.id).where(Picture.sha256 == sha256))
    if known is not None:
        raise DuplicatePicture(known)


def add_picture(
    session: Session,
    taken: StoredUpload,
    said: PictureDescription,
    *,
    by: int | None,
    now: datetime,
) -> Picture:
    """A new picture, whose files are made by the worker.

    Raises Invalid for what is said about it, KnownAlready.
    """
    check_picture_description(said, declared_source_type=taken.declared_source_type)
    check_not_in_library(session, taken.sha256)
    picture = Picture(
        **vars(taken),
        **vars(said),
        search_text=picture_search_text_of(said),
        created_by_id=by,
        created_at=now,
        updated_at=now,
    )
    try:
        with session.begin_nested():
            session.add(picture)
    except IntegrityError:
        # Somebody sent the same file at the same moment.
        check_not_in_library(session, taken.sha256)
        raise
    return picture


def change_picture(
    session: Session,
    picture: Picture,
    said: PictureDescription,
    framing: PictureFraming,
    *,
    edits: int,
    now: datetime,
) -> None:
    """Replace what is said about a picture and where it is cut.

    `edits` is the count that the editor saw when they began. Raises Conflict where someone else
    has saved in between, Invalid for what is said or for a crop that lies outside.
    """
    check_picture_description(said, declared_source_type=picture.declared_source_type)
    if picture.edits != edits:
        raise Conflict("Someone else saved this picture while you were at it.")
    _check_framing(framing)
    crops = {shape: list(crop) for shape, crop in framing.crops.items()}
    new: dict[str, Any] = {**vars(said), **vars(framing), "crops": crops}
    if any(getattr(picture, name) != new[name] for name in RENDITION_FIELDS):
        _request_renditions(picture)
    for name, value in new.items():
        setattr(picture, name, value)
    picture.search_text = picture_search_text_of(said)
    picture.edits += 1
    picture.updated_at = now
    session.flush()


def retry_renditions(picture: Picture) -> None:
    """Have files that could not be made tried once more."""
    picture.tries, picture.claimed_at = 0, None


def get_picture(session: Session, picture_id: int, *, lock: bool = False) -> Picture:
    """Raises NotFound."""
    picture = session.get(Picture, picture_id, with_for_update=lock or None)
    if picture is None:
        raise NotFound("There is no such picture.")
    return picture


def count_picture_use(session: Session, picture_id: int, *, times: int = 1) -> None:
    """Count `times` more places that show a picture, or fewer where it is negative.

    Raises NotFound: whoever is about to show it learns that it was deleted.
    """
    counted = session.scalar(
        update(Picture)
        .where(Picture.id == picture_id)
        .values(use_count=Picture.use_count + times)
        .returning(Picture.id)
    )
    if counted is None:
        raise NotFound("There is no such picture.")


def count_picture_uses(session: Session, places: Mapping[int, int]) -> None:
    """Count so many more places for each of these pictures, or fewer: `use` for a set of them.

    They are locked in the order of their ids, so that two who save at once never wait for each
    other. Raises NotFound as `use` does, and has then counted nothing.
    """
    changes = {picture_id: times for picture_id, times in sorted(places.items()) if times}
    if not changes:
        return
    these = Picture.id.in_(list(changes))
    known = session.scalars(select(Picture.id).where(these).order_by(Picture.id).with_for_update())
    if len(known.all()) < len(changes):
        raise NotFound("There is no such picture.")
    more = case(changes, value=Picture.id)
    session.execute(update(Picture).where(these).values(use_count=Picture.use_count + more))


def delete_picture(session: Session, picture: Picture) -> list[str]:
    """Delete a picture that nothing shows; returns the names of its files.

    They are the caller's to delete from the storage, after the transaction. `picture` has to be
    locked. Raises Conflict while something shows it.
    """
    if picture.use_count:
        raise Conflict("This picture is shown in a story, so it cannot be deleted.")
    of_it = Rendition.picture_id == picture.id
    names = [picture.master, *session.scalars(select(Rendition.name).where(of_it))]
    session.execute(delete(Rendition).where(of_it))
    session.delete(picture)
    session.flush()
    return list(dict.fromkeys(names))


def _request_renditions(picture: Picture) -> None:
    picture.requested_set += 1
    retry_renditions(picture)


def _check_framing(framing: PictureFraming) -> None:
    places = {"focus_x": framing.focus_x, "focus_y": framing.focus_y}
    found = {
        name: "Give a number from 0 to 100."
        for name, place in places.items()
        if not 0 <= place <= 1
    }
    for shape, crop in framing.crops.items():
        known = shape in {each.value for each in SHAPE_RATIOS}
        left, top, width = crop if len(crop) == 3 else (-1, -1, -1)
        if not (known and 0 <= left < 1 and 0 <= top < 1 and 0 < width <= 1):
            found[shape] = "Give a left and a top edge from 0 to 99, and a width from 1 to 100."
    if found:
        raise Invalid(found)


MAX_SEARCH_WORDS = 8


@dataclass(frozen=True)
class PicturePage:
    """Some pictures, newest first, and where the next page begins."""

    pictures: Sequence[Picture]
    after: str | None


def list_pictures(
    session: Session, *, words: str = "", after: str | None = None, size: int = 24
) -> PicturePage:
    """A page of the pictures whose alt text, credit or caption have all of the words in them."""
    query = select(Picture).order_by(Picture.id.desc()).limit(size + 1)
    for word in words.casefold().split()[:MAX_SEARCH_WORDS]:
        query = query.where(Picture.search_text.contains(word, autoescape=True))
    if after:
        query = query.where(Picture.id < _parse_page_cursor(after))
    found = session.scalars(query.options(selectinload(Picture.renditions))).all()
    return PicturePage(found[:size], str(found[size - 1].id) if len(found) > size else None)


def list_picture_choices(
    session: Session, chosen: Collection[int], *, most: int = 50
) -> Sequence[Picture]:
    """The newest pictures to choose among, with those that are chosen, newest first."""
    newest = select(Picture.id).order_by(Picture.id.desc()).limit(most).scalar_subquery()
    query = select(Picture).where(or_(Picture.id.in_(newest), Picture.id.in_(list(chosen))))
    return session.scalars(query.order_by(Picture.id.desc())).all()


def find_pictures_by_id(session: Session, ids: Collection[int]) -> dict[int, Picture]:
    """These pictures with their files, as far as there are such."""
    if not ids:
        return {}
    query = select(Picture).where(Picture.id.in_(list(ids)))
    found = session.scalars(query.options(selectinload(Picture.renditions)))
    return {picture.id: picture for picture in found}


def _parse_page_cursor(after: str) -> int:
    """Raises NotFound for a place that no page of ours named."""
    if not (after.isascii() and after.isdigit() and len(after) < 19):
        raise NotFound("There is no such page.")
    return int(after)
