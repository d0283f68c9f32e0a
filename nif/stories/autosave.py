"""Every text that someone typed is kept for a while, whoever saved over it.

What the desk keeps beside a story: words to find it by, and the texts that were typed.
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


class Autosave(Base):
    """A form as someone typed it, field by field. Nothing of it is lost to whoever saves later.

    `edits` is the count of savings that the story had with it; None where it was kept only, for
    the draft could not take it.
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


KEEP_EACH_FOR = timedelta(minutes=10)
"""As long, every text is kept; of what is older, the last one of each ten minutes."""

MOST_AUTOSAVES = 50
"""Texts of one editor for one story."""

ACTIVE_WITHIN = timedelta(seconds=90)


def store_autosave(
    session: Session,
    story_id: int,
    form: Mapping[str, str],
    *,
    edits: int | None,
    by: Account,
    now: datetime,
) -> None:
    """Keep a form as it was typed; `edits` where the story has it now, None where it has not."""
    last = session.scalar(_select_autosaves(story_id, by.id).limit(1))
    if last is not None and last.form == dict(form):
        last.at, last.edits = now, last.edits if edits is None else edits
        return
    session.add(
        Autosave(story_id=story_id, by_id=by.id, by=by.name, at=now, edits=edits, form=dict(form))
    )
    session.flush()
    _thin_out_autosaves(session, story_id, by.id, now=now)


def list_autosaves(session: Session, story_id: int, *, most: int = 100) -> Sequence[Autosave]:
    """The texts that were kept of a story, the last first, without their words."""
    query = select(Autosave).where(Autosave.story_id == story_id)
    query = query.order_by(Autosave.at.desc(), Autosave.id.desc()).options(defer(Autosave.form))
    return session.scalars(query.limit(most)).all()


def get_autosave(session: Session, story_id: int, autosave_id: int) -> Autosave:
    """Raises NotFound."""
    found = session.get(Autosave, autosave_id)
    if found is None or found.story_id != story_id:
        raise NotFound("This text is not kept any more.")
    return found


def find_autosave_of_edit(session: Session, story_id: int, edits: int) -> Autosave | None:
    """Who saved a story for the `edits`th time; None where that was before anybody kept count."""
    query = select(Autosave).where(Autosave.story_id == story_id, Autosave.edits == edits)
    query = query.order_by(Autosave.id.desc()).options(defer(Autosave.form))
    return session.scalar(query.limit(1))


def list_active_editors(
    session: Session, story_id: int, *, besides: int, now: datetime
) -> Sequence[tuple[str, datetime]]:
    """Who else typed in a story within the last minute and a half, and when last."""
    query = select(Autosave.by, Autosave.at).where(
        Autosave.story_id == story_id, Autosave.by_id != besides, Autosave.at > now - ACTIVE_WITHIN
    )
    last: dict[str, datetime] = {}
    for name, at in session.execute(query.order_by(Autosave.at)):
        last[name] = at
    return list(last.items())


def has_typed_since(session: Session, story_id: int, account_id: int, moment: datetime) -> bool:
    """Has somebody typed in a story after a moment? What they typed last is always kept."""
    query = select(Autosave.id).where(
        Autosave.story_id == story_id, Autosave.by_id == account_id, Autosave.at > moment
    )
    return session.scalar(query.limit(1)) is not None


def _select_autosaves(story_id: int, by_id: int):  # type: ignore[no-untyped-def]
    query = select(Autosave).where(Autosave.story_id == story_id, Autosave.by_id == by_id)
    return query.order_by(Autosave.id.desc())


def _thin_out_autosaves(session: Session, story_id: int, by_id: int, *, now: datetime) -> None:
    """Forget what is older and close to something that is kept, and what is beyond the most."""
    query = select(Autosave.id, Autosave.at).where(
        Autosave.story_id == story_id, Autosave.by_id == by_id
    )
    stay: set[int] = set()
    goes: list[int] = []
    slots: set[int] = set()
    for row_id, at in session.execute(query.order_by(Autosave.id.desc())):
        slot = int(at.timestamp() // KEEP_EACH_FOR.total_seconds())
        is_fresh = at > now - KEEP_EACH_FOR
        if len(stay) < MOST_AUTOSAVES and (is_fresh or slot not in slots):
            stay.add(row_id)
        else:
            goes.append(row_id)
        slots.add(slot)
    if goes:
        session.execute(delete(Autosave).where(Autosave.id.in_(goes)))
