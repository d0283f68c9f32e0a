"""Every text that someone typed is kept for a while, whoever saved over it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session, defer

from nif.accounts.models import Account
from nif.errors import NotFound
from nif.stories.desk.models import Autosave

EACH_FOR = timedelta(minutes=10)
"""As long, every text is kept; of what is older, the last one of each ten minutes."""

MOST = 50
"""Texts of one editor for one story."""

STILL_AT_IT = timedelta(seconds=90)


def keep(
    session: Session,
    story_id: int,
    form: Mapping[str, str],
    *,
    edits: int | None,
    by: Account,
    now: datetime,
) -> None:
    """Keep a form as it was typed; `edits` where the story has it now, None where it has not."""
    last = session.scalar(_of(story_id, by.id).limit(1))
    if last is not None and last.form == dict(form):
        last.at, last.edits = now, last.edits if edits is None else edits
        return
    session.add(
        Autosave(story_id=story_id, by_id=by.id, by=by.name, at=now, edits=edits, form=dict(form))
    )
    session.flush()
    _thin(session, story_id, by.id, now=now)


def kept(session: Session, story_id: int, *, most: int = 100) -> Sequence[Autosave]:
    """The texts that were kept of a story, the last first, without their words."""
    query = select(Autosave).where(Autosave.story_id == story_id)
    query = query.order_by(Autosave.at.desc(), Autosave.id.desc()).options(defer(Autosave.form))
    return session.scalars(query.limit(most)).all()


def get_kept(session: Session, story_id: int, autosave_id: int) -> Autosave:
    """Raises NotFound."""
    found = session.get(Autosave, autosave_id)
    if found is None or found.story_id != story_id:
        raise NotFound("This text is not kept any more.")
    return found


def saved_by(session: Session, story_id: int, edits: int) -> Autosave | None:
    """Who saved a story for the `edits`th time; None where that was before anybody kept count."""
    query = select(Autosave).where(Autosave.story_id == story_id, Autosave.edits == edits)
    query = query.order_by(Autosave.id.desc()).options(defer(Autosave.form))
    return session.scalar(query.limit(1))


def at_it(
    session: Session, story_id: int, *, besides: int, now: datetime
) -> Sequence[tuple[str, datetime]]:
    """Who else typed in a story within the last minute and a half, and when last."""
    query = select(Autosave.by, Autosave.at).where(
        Autosave.story_id == story_id, Autosave.by_id != besides, Autosave.at > now - STILL_AT_IT
    )
    last: dict[str, datetime] = {}
    for name, at in session.execute(query.order_by(Autosave.at)):
        last[name] = at
    return list(last.items())


def typed_since(session: Session, story_id: int, account_id: int, moment: datetime) -> bool:
    """Has somebody typed in a story after a moment? What they typed last is always kept."""
    query = select(Autosave.id).where(
        Autosave.story_id == story_id, Autosave.by_id == account_id, Autosave.at > moment
    )
    return session.scalar(query.limit(1)) is not None


def _of(story_id: int, by_id: int):  # type: ignore[no-untyped-def]
    query = select(Autosave).where(Autosave.story_id == story_id, Autosave.by_id == by_id)
    return query.order_by(Autosave.id.desc())


def _thin(session: Session, story_id: int, by_id: int, *, now: datetime) -> None:
    """Forget what is older and close to something that is kept, and what is beyond the most."""
    query = select(Autosave.id, Autosave.at).where(
        Autosave.story_id == story_id, Autosave.by_id == by_id
    )
    stay: set[int] = set()
    goes: list[int] = []
    slots: set[int] = set()
    for row_id, at in session.execute(query.order_by(Autosave.id.desc())):
        slot = int(at.timestamp() // EACH_FOR.total_seconds())
        is_fresh = at > now - EACH_FOR
        if len(stay) < MOST and (is_fresh or slot not in slots):
            stay.add(row_id)
        else:
            goes.append(row_id)
        slots.add(slot)
    if goes:
        session.execute(delete(Autosave).where(Autosave.id.in_(goes)))
