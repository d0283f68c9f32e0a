"""Autosaved forms: what each editor typed into a story is stored for a while.

So no text is lost when another editor saves over it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ForeignKey, Index, delete, select
from sqlalchemy.orm import Mapped, Session, defer, mapped_column

from nif.accounts.models import Account
from nif.database import Base, BigId
from nif.errors import NotFound
from nif.stories.models import Story

KEEP_EACH_FOR = timedelta(minutes=10)
"""Every autosave is kept for this long; of older ones, the last in each such interval."""

MOST_AUTOSAVES = 50
"""The limit for one editor and one story."""

ACTIVE_WITHIN = timedelta(seconds=90)
"""An editor whose last autosave is no older counts as typing in the story now."""


class Autosave(Base):
    """A story form as an editor typed it, field by field.

    `edits` is the story's count of saves including this one; None where the form was stored only
    here, because the working copy could not be saved from it.
    """

    __tablename__ = "story_autosave"
    __table_args__ = (Index("ix_story_autosave_kept", "story_id", "by_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey(Story.id))
    by_id: Mapped[int] = mapped_column(ForeignKey(Account.id))
    by: Mapped[str]
    at: Mapped[datetime]
    edits: Mapped[int | None]
    form: Mapped[dict[str, Any]]


def store_autosave(
    session: Session,
    story_id: int,
    form: Mapping[str, str],
    *,
    edits: int | None,
    by: Account,
    now: datetime,
) -> None:
    """Store a form as typed. `edits` is None where the working copy was not saved from it."""
    own = select(Autosave).where(Autosave.story_id == story_id, Autosave.by_id == by.id)
    last = session.scalar(own.order_by(Autosave.id.desc()).limit(1))
    if last is not None and last.form == dict(form):
        last.at, last.edits = now, last.edits if edits is None else edits
        return
    session.add(
        Autosave(story_id=story_id, by_id=by.id, by=by.name, at=now, edits=edits, form=dict(form))
    )
    session.flush()
    _thin_out_autosaves(session, story_id, by.id, now=now)


def list_autosaves(session: Session, story_id: int, *, most: int = 100) -> Sequence[Autosave]:
    """The autosaves of a story, newest first. `form` is deferred."""
    query = select(Autosave).where(Autosave.story_id == story_id)
    query = query.order_by(Autosave.at.desc(), Autosave.id.desc()).options(defer(Autosave.form))
    return session.scalars(query.limit(most)).all()


def get_autosave(session: Session, story_id: int, autosave_id: int) -> Autosave:
    """Raises NotFound where it was deleted or belongs to another story."""
    autosave = session.get(Autosave, autosave_id)
    if autosave is None or autosave.story_id != story_id:
        raise NotFound("This version is no longer stored.")
    return autosave


def find_autosave_of_edit(session: Session, story_id: int, edits: int) -> Autosave | None:
    """The autosave with which a story was saved for the `edits`th time. `form` is deferred."""
    query = select(Autosave).where(Autosave.story_id == story_id, Autosave.edits == edits)
    query = query.order_by(Autosave.id.desc()).options(defer(Autosave.form))
    return session.scalar(query.limit(1))


def list_active_editors(
    session: Session, story_id: int, *, excluding: int, now: datetime
) -> Sequence[tuple[str, datetime]]:
    """The names of other editors who are typing in a story now, each with their last moment."""
    query = select(Autosave.by, Autosave.at).where(
        Autosave.story_id == story_id,
        Autosave.by_id != excluding,
        Autosave.at > now - ACTIVE_WITHIN,
    )
    return list(dict(session.execute(query.order_by(Autosave.at)).all()).items())


def has_typed_since(session: Session, story_id: int, account_id: int, moment: datetime) -> bool:
    """Did an account type in a story after a moment? Its newest autosave is never deleted."""
    query = select(Autosave.id).where(
        Autosave.story_id == story_id, Autosave.by_id == account_id, Autosave.at > moment
    )
    return session.scalar(query.limit(1)) is not None


def _thin_out_autosaves(session: Session, story_id: int, by_id: int, *, now: datetime) -> None:
    """Delete autosaves that are older and close to one that stays, and those over the limit."""
    query = select(Autosave.id, Autosave.at).where(
        Autosave.story_id == story_id, Autosave.by_id == by_id
    )
    kept: set[int] = set()
    deleted: list[int] = []
    intervals: set[int] = set()
    for autosave_id, at in session.execute(query.order_by(Autosave.id.desc())):
        interval = int(at.timestamp() // KEEP_EACH_FOR.total_seconds())
        is_fresh = at > now - KEEP_EACH_FOR
        if len(kept) < MOST_AUTOSAVES and (is_fresh or interval not in intervals):
            kept.add(autosave_id)
        else:
            deleted.append(autosave_id)
        intervals.add(interval)
    if deleted:
        session.execute(delete(Autosave).where(Autosave.id.in_(deleted)))
