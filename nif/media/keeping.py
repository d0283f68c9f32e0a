"""The library: taking a picture in, saying more about it, cutting it anew, letting it go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import case, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from nif.errors import Conflict, Invalid, NotFound
from nif.media.cropping import RATIOS
from nif.media.describing import Description, check, words_of
from nif.media.models import Picture, Rendition

LABELLED = ("credit", "licence", "licence_url", "source_type", "focus_x", "focus_y", "crops")
"""What the files of a picture follow: where one of these changes, they are made anew."""


@dataclass(frozen=True)
class Taken:
    """A clean picture whose master is in the storage already."""

    sha256: str
    master: str
    width: int
    height: int
    had_provenance: bool
    source_told: str = ""


@dataclass(frozen=True)
class Framing:
    """Where a picture is cut: `crops` maps a shape to [left, top, width], all in 0..1."""

    focus_x: float = 0.5
    focus_y: float = 0.5
    crops: Mapping[str, Sequence[float]] = field(default_factory=dict)


class KnownAlready(Conflict):
    """The very same file is in the library; `picture_id` says where."""

    def __init__(self, picture_id: int) -> None:
        super().__init__("This very file is in the library already.")
        self.picture_id = picture_id


def expect_new(session: Session, sha256: str) -> None:
    """Raises KnownAlready where a file with this hash was taken in before."""
    known = session.scalar(select(Picture.id).where(Picture.sha256 == sha256))
    if known is not None:
        raise KnownAlready(known)


def keep(
    session: Session, taken: Taken, said: Description, *, by: int | None, now: datetime
) -> Picture:
    """A new picture, whose files are made by the worker.

    Raises Invalid for what is said about it, KnownAlready.
    """
    check(said, source_told=taken.source_told)
    expect_new(session, taken.sha256)
    picture = Picture(
        **vars(taken),
        **vars(said),
        words=words_of(said),
        created_by_id=by,
        created_at=now,
        updated_at=now,
    )
    try:
        with session.begin_nested():
            session.add(picture)
    except IntegrityError:
        # Somebody sent the same file at the same moment.
        expect_new(session, taken.sha256)
        raise
    return picture


def change(
    session: Session,
    picture: Picture,
    said: Description,
    framing: Framing,
    *,
    edits: int,
    now: datetime,
) -> None:
    """Replace what is said about a picture and where it is cut.

    `edits` is the count that the editor saw when they began. Raises Conflict where someone else
    has saved in between, Invalid for what is said or for a crop that lies outside.
    """
    check(said, source_told=picture.source_told)
    if picture.edits != edits:
        raise Conflict("Someone else saved this picture while you were at it.")
    _check_framing(framing)
    crops = {shape: list(crop) for shape, crop in framing.crops.items()}
    new: dict[str, Any] = {**vars(said), **vars(framing), "crops": crops}
    if any(getattr(picture, name) != new[name] for name in LABELLED):
        _ask_for_files(picture)
    for name, value in new.items():
        setattr(picture, name, value)
    picture.words = words_of(said)
    picture.edits += 1
    picture.updated_at = now
    session.flush()


def try_again(picture: Picture) -> None:
    """Have files that could not be made tried once more."""
    picture.tries, picture.claimed_at = 0, None


def get_picture(session: Session, picture_id: int, *, lock: bool = False) -> Picture:
    """Raises NotFound."""
    picture = session.get(Picture, picture_id, with_for_update=lock or None)
    if picture is None:
        raise NotFound("There is no such picture.")
    return picture


def use(session: Session, picture_id: int, *, times: int = 1) -> None:
    """Count `times` more places that show a picture, or fewer where it is negative.

    Raises NotFound: whoever is about to show it learns that it was deleted.
    """
    counted = session.scalar(
        update(Picture)
        .where(Picture.id == picture_id)
        .values(uses=Picture.uses + times)
        .returning(Picture.id)
    )
    if counted is None:
        raise NotFound("There is no such picture.")


def use_all(session: Session, places: Mapping[int, int]) -> None:
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
    session.execute(update(Picture).where(these).values(uses=Picture.uses + more))


def let_go(session: Session, picture: Picture) -> list[str]:
    """Delete a picture that nothing shows; returns the names of its files.

    They are the caller's to delete from the storage, after the transaction. `picture` has to be
    locked. Raises Conflict while something shows it.
    """
    if picture.uses:
        raise Conflict("This picture is shown in a story, so it cannot be deleted.")
    of_it = Rendition.picture_id == picture.id
    names = [picture.master, *session.scalars(select(Rendition.name).where(of_it))]
    session.execute(delete(Rendition).where(of_it))
    session.delete(picture)
    session.flush()
    return list(dict.fromkeys(names))


def _ask_for_files(picture: Picture) -> None:
    picture.wanted += 1
    try_again(picture)


def _check_framing(framing: Framing) -> None:
    places = {"focus_x": framing.focus_x, "focus_y": framing.focus_y}
    found = {
        name: "Give a number from 0 to 100."
        for name, place in places.items()
        if not 0 <= place <= 1
    }
    for shape, crop in framing.crops.items():
        known = shape in {each.value for each in RATIOS}
        left, top, width = crop if len(crop) == 3 else (-1, -1, -1)
        if not (known and 0 <= left < 1 and 0 <= top < 1 and 0 < width <= 1):
            found[shape] = "Give a left and a top edge from 0 to 99, and a width from 1 to 100."
    if found:
        raise Invalid(found)
