"""Making the files of pictures in the worker: 24 megapixels take five seconds, too long to wait.

Whoever claims a picture has it for some minutes; a worker that dies gives it back by dying. Two
that make the same files do no harm, for what is in a file is its name.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Select, or_, select, update
from sqlalchemy.orm import Session

from nif.database import Transaction
from nif.media.labelling import label
from nif.media.models import Picture, Rendition
from nif.media.processing import Cut, Made, make
from nif.media.storing import ENDINGS, Storage, name_of

CLAIM = timedelta(minutes=3)
MOST_TRIES = 3


def prepare(transaction: Transaction, storage: Storage, *, clock: Callable[[], datetime]) -> int:
    """Make the files of all pictures that lack them; returns of how many."""
    done = 0
    while (claimed := _claim(transaction, now=clock())) is not None:
        picture, cut = claimed
        rows = _files(storage, picture, cut)
        with transaction() as session:
            gone = not record(session, picture.id, picture.wanted, rows)
        if gone:
            storage.delete({row.name for row in rows})
        done += 1
    return done


def prepare_one(session: Session, storage: Storage, picture: Picture) -> None:
    """Make the files of a picture within the caller's transaction: for the demo, whose stories
    are published at once. A second or two for two megapixels."""
    rows = _files(storage, picture, _cut_of(picture))
    record(session, picture.id, picture.wanted, rows)


def due(*, now: datetime) -> Select[int]:
    """The pictures whose files are to be made and that nobody is at."""
    free = or_(Picture.claimed_at.is_(None), Picture.claimed_at <= now - CLAIM)
    return (
        select(Picture.id)
        .where(Picture.made < Picture.wanted, Picture.tries < MOST_TRIES, free)
        .order_by(Picture.id)
        .limit(1)
    )


def given_up(picture: Picture, *, now: datetime) -> bool:
    """Were the files of a picture tried for so often that nobody tries any more?"""
    if not picture.is_preparing or picture.tries < MOST_TRIES:
        return False
    return picture.claimed_at is None or picture.claimed_at <= now - CLAIM


def claim(session: Session, *, now: datetime) -> Picture | None:
    """Take one picture whose files are to be made, and count the try."""
    chosen = due(now=now).with_for_update(skip_locked=True).scalar_subquery()
    return session.scalar(
        update(Picture)
        .where(Picture.id == chosen)
        .values(claimed_at=now, tries=Picture.tries + 1)
        .returning(Picture)
    )


def record(session: Session, picture_id: int, cut: int, rows: list[Rendition]) -> bool:
    """Have readers see the files of a cut; False where the picture was deleted meanwhile.

    A cut that somebody else has made meanwhile is left as it is, and a newer one wins.
    """
    try_ = select(Picture).where(Picture.id == picture_id).with_for_update()
    picture = session.scalar(try_)
    if picture is None:
        return False
    if picture.made < cut:
        for row in rows:
            row.picture_id, row.cut = picture_id, cut
        session.add_all(rows)
        picture.made = cut
        picture.tries, picture.claimed_at = 0, None
        session.flush()
    return True


def _claim(transaction: Transaction, *, now: datetime) -> tuple[Picture, Cut] | None:
    with transaction() as session:
        picture = claim(session, now=now)
        if picture is None:
            return None
        return picture, _cut_of(picture)


def _cut_of(picture: Picture) -> Cut:
    focus = (picture.focus_x, picture.focus_y)
    return Cut(focus, picture.crops, label(picture))


def _files(storage: Storage, picture: Picture, cut: Cut) -> list[Rendition]:
    master = storage.get(picture.master)
    return [_stored(storage, picture, made) for made in make(master, cut)]


def _stored(storage: Storage, picture: Picture, made: Made) -> Rendition:
    name = name_of(made.data, ENDINGS[made.format], of=picture.sha256)
    storage.put(name, made.data)
    return Rendition(
        shape=made.shape,
        format=made.format,
        width=made.width,
        height=made.height,
        size=len(made.data),
        name=name,
    )
