"""The library of pictures: adding, describing, cropping, searching and deleting them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import case, delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from nif.database import get_row
from nif.errors import Conflict, Invalid, NotFound
from nif.links import is_web_address
from nif.media.models import SHAPE_RATIOS, DigitalSourceType, Picture, Rendition
from nif.media.storage import MediaStorage, content_file_name
from nif.media.uploads import ReceivedUpload, clean_picture, encode_master
from nif.paging import Page, paginate

MAX_FIELD_LENGTHS = {
    **{"alt": 500, "caption": 600, "credit": 200, "licence": 200},
    **{"credit_url": 2000, "licence_url": 2000},
}
MAX_SEARCH_WORDS = 8

AI_SOURCE_TERMS = {
    "trainedAlgorithmicMedia": (DigitalSourceType.BY_AI,),
    "compositeWithTrainedAlgorithmicMedia": (DigitalSourceType.BY_AI, DigitalSourceType.WITH_AI),
}
"""What an uploaded file may declare, and the source types that editors may then choose."""

ALT_PROBLEMS = {
    True: "Screen readers skip decorative pictures: leave this empty.",
    False: "Describe the picture for people who cannot see it, or mark it as decorative.",
}
"""What is wrong with the alt text of a decorative picture, and of another one."""

RENDITION_FIELDS = (
    *("credit", "licence", "licence_url", "source_type"),
    *("focus_x", "focus_y", "crops"),
)
"""The fields that are part of the files: when one of them changes, the files are made again."""


@dataclass(frozen=True)
class PictureDescription:
    """What an editor says about a picture. A decorative one has no `alt`; every other one has."""

    credit: str
    source_type: DigitalSourceType
    alt: str = ""
    is_decorative: bool = False
    credit_url: str = ""
    licence: str = ""
    licence_url: str = ""
    caption: str = ""


@dataclass(frozen=True)
class PictureFraming:
    """How a picture is cropped: `crops` maps a shape to [left, top, width], all in 0..1."""

    focus_x: float = 0.5
    focus_y: float = 0.5
    crops: Mapping[str, Sequence[float]] = field(default_factory=dict)


class DuplicatePicture(Conflict):
    """The same file is in the library already, as `picture_id`."""

    def __init__(self, picture_id: int) -> None:
        super().__init__("This file is in the library already.")
        self.picture_id = picture_id


def get_picture(session: Session, picture_id: int, *, lock: bool = False) -> Picture:
    """Raises NotFound."""
    return get_row(session, Picture, picture_id, "There is no such picture.", lock=lock)


def list_pictures(
    session: Session, *, words: str = "", after: str | None = None, size: int = 24
) -> Page[Picture]:
    """The pictures whose alt text, credit or caption contain all the words, newest first."""
    query = select(Picture).options(selectinload(Picture.renditions))
    for word in words.casefold().split()[:MAX_SEARCH_WORDS]:
        query = query.where(Picture.search_text.contains(word, autoescape=True))
    return paginate(session, query, Picture.id, after=after, size=size)


def list_picture_choices(
    session: Session, chosen: Collection[int], *, most: int = 50
) -> Sequence[Picture]:
    """The newest pictures to choose from, and those that are chosen already, newest first."""
    newest = select(Picture.id).order_by(Picture.id.desc()).limit(most).scalar_subquery()
    query = select(Picture).where(or_(Picture.id.in_(newest), Picture.id.in_(list(chosen))))
    return session.scalars(query.order_by(Picture.id.desc())).all()


def find_pictures_by_id(session: Session, ids: Collection[int]) -> dict[int, Picture]:
    """These pictures with their files; unknown ids are left out."""
    if not ids:
        return {}
    query = select(Picture).where(Picture.id.in_(list(ids)))
    pictures = session.scalars(query.options(selectinload(Picture.renditions)))
    return {picture.id: picture for picture in pictures}


def check_not_in_library(session: Session, sha256: str) -> None:
    """Raises DuplicatePicture where a file with this hash was added before."""
    existing_id = session.scalar(select(Picture.id).where(Picture.sha256 == sha256))
    if existing_id is not None:
        raise DuplicatePicture(existing_id)


def store_master(storage: MediaStorage, received: ReceivedUpload) -> Picture:
    """Clean a received picture and store its master, for `add_picture`. Raises Invalid."""
    image = clean_picture(received.file, received.format)
    master = encode_master(image)
    name = content_file_name(master, "master", of=received.sha256)
    storage.put(name, master)
    return Picture(
        sha256=received.sha256,
        master=name,
        width=image.width,
        height=image.height,
        had_provenance=received.had_provenance,
        declared_source_type=received.declared_source_type,
    )


def add_picture(
    session: Session,
    picture: Picture,
    description: PictureDescription,
    *,
    by: int | None,
    now: datetime,
) -> Picture:
    """Add a picture whose master is stored; the worker makes its files.

    Raises Invalid for the description, DuplicatePicture.
    """
    check_picture_description(description, declared_source_type=picture.declared_source_type)
    check_not_in_library(session, picture.sha256)
    for name, value in vars(description).items():
        setattr(picture, name, value)
    picture.search_text = picture_search_text_of(description)
    picture.created_by_id = by
    picture.due_at = picture.created_at = picture.updated_at = now
    try:
        with session.begin_nested():
            session.add(picture)
    except IntegrityError:
        # Another request added the same file at the same moment.
        check_not_in_library(session, picture.sha256)
        raise
    return picture


def change_picture(
    session: Session,
    picture: Picture,
    description: PictureDescription,
    framing: PictureFraming,
    *,
    edits: int,
    now: datetime,
) -> None:
    """Replace the description and the framing of a picture.

    `edits` is the count that the editor saw at the beginning. Raises Conflict where someone else
    has saved in between, Invalid for the description or for a crop that lies outside.
    """
    check_picture_description(description, declared_source_type=picture.declared_source_type)
    if picture.edits != edits:
        raise Conflict("Someone else saved this picture while you were editing it.")
    _check_framing(framing)
    crops = {shape: list(crop) for shape, crop in framing.crops.items()}
    new: dict[str, Any] = {**vars(description), **vars(framing), "crops": crops}
    if any(getattr(picture, name) != new[name] for name in RENDITION_FIELDS):
        picture.requested_set += 1
        retry_renditions(picture, now=now)
    for name, value in new.items():
        setattr(picture, name, value)
    picture.search_text = picture_search_text_of(description)
    picture.edits += 1
    picture.updated_at = now
    session.flush()


def retry_renditions(picture: Picture, *, now: datetime) -> None:
    """Have files tried again that could not be made."""
    if picture.is_preparing:
        picture.attempts, picture.due_at = 0, now


def count_picture_uses(session: Session, changes: Mapping[int, int]) -> None:
    """Count more places that show a picture, or fewer where the change is negative, by picture id.

    The rows are locked in the order of their ids, so that two transactions never deadlock. Raises
    NotFound where one was deleted in the meantime; then no count changes.
    """
    changes = {picture_id: times for picture_id, times in sorted(changes.items()) if times}
    if not changes:
        return
    is_changed = Picture.id.in_(list(changes))
    locked_ids = session.scalars(
        select(Picture.id).where(is_changed).order_by(Picture.id).with_for_update()
    )
    if len(locked_ids.all()) < len(changes):
        raise NotFound("There is no such picture.")
    change = case(changes, value=Picture.id)
    session.execute(update(Picture).where(is_changed).values(use_count=Picture.use_count + change))


def delete_picture(session: Session, picture: Picture) -> list[str]:
    """Delete a picture that is shown nowhere; returns the names of its files.

    The caller deletes those from the storage, after the transaction. `picture` must be locked.
    Raises Conflict while something shows it.
    """
    if picture.use_count:
        raise Conflict("This picture is shown in a story, so it cannot be deleted.")
    belongs_to_picture = Rendition.picture_id == picture.id
    names = [picture.master, *session.scalars(select(Rendition.name).where(belongs_to_picture))]
    session.execute(delete(Rendition).where(belongs_to_picture))
    session.delete(picture)
    session.flush()
    return list(dict.fromkeys(names))


def check_picture_description(
    description: PictureDescription, *, declared_source_type: str = ""
) -> None:
    """Raises Invalid where something is missing, too long, or contradicts the file itself.

    `declared_source_type` is the digital source type that the file names.
    """
    if problems := dict(_description_problems(description, declared_source_type)):
        raise Invalid(problems)


def picture_search_text_of(description: PictureDescription) -> str:
    """The text in which a picture is searched: folded here, so that all databases match alike."""
    return " ".join((description.alt, description.credit, description.caption)).casefold()


def is_ai_use_undeclared(
    description: PictureDescription | Picture, declared_source_type: str
) -> bool:
    """Does the file declare that AI had a part in it, while the description does not?"""
    allowed = AI_SOURCE_TERMS.get(declared_source_type)
    return allowed is not None and description.source_type not in allowed


def _description_problems(
    description: PictureDescription, declared_source_type: str
) -> Iterator[tuple[str, str]]:
    if description.is_decorative == bool(description.alt):
        yield "alt", ALT_PROBLEMS[description.is_decorative]
    if not description.credit:
        yield "credit", "Say whose picture it is. Readers see this under it."
    for name in ("credit_url", "licence_url"):
        if (address := getattr(description, name)) and not is_web_address(address):
            yield name, "Give the whole address, starting with https:// or http://."
    if is_ai_use_undeclared(description, declared_source_type):
        yield "source_type", "The file declares that AI was used. Choose a source that says so."
    for name, most in MAX_FIELD_LENGTHS.items():
        if len(getattr(description, name)) > most:
            yield name, f"Make this shorter: at most {most:,} characters."


def _check_framing(framing: PictureFraming) -> None:
    problems = {
        name: "Give a number from 0 to 100."
        for name in ("focus_x", "focus_y")
        if not 0 <= getattr(framing, name) <= 1
    }
    for shape, crop in framing.crops.items():
        known = shape in set(SHAPE_RATIOS)
        left, top, width = crop if len(crop) == 3 else (-1, -1, -1)
        if not (known and 0 <= left < 1 and 0 <= top < 1 and 0 < width <= 1):
            problems[shape] = "Give a left and a top edge from 0 to 99, and a width from 1 to 100."
    if problems:
        raise Invalid(problems)
