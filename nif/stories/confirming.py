"""A second person finds that a change to what readers have is style, and nothing more."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.models import Account
from nif.errors import Conflict, NotAllowed
from nif.stories.desk.keeping import typed_since
from nif.stories.kinds import Verdict
from nif.stories.models import Review, Revision, Story


def get_current(session: Session, story: Story) -> Revision:
    """The revision that readers see. Raises Conflict for a story that is not published."""
    revision = session.get(Revision, story.current_id) if story.current_id else None
    if revision is None:
        raise Conflict("This story is not published yet: it has no revision to follow.")
    return revision


def confirm_style(session: Session, story: Story, *, by: Account, now: datetime) -> None:
    """A second person finds that the change, as it is saved now, is style. Readers are told.

    Raises NotAllowed for who had a hand in the change.
    """
    if not may_confirm(session, story, by=by.id):
        raise NotAllowed("You had a hand in this change: someone else has to confirm it.")
    session.add(
        Review(
            story_id=story.id,
            edits=story.edits,
            verdict=Verdict.CONFIRMED,
            by_id=by.id,
            by=by.name,
            at=now,
        )
    )


def may_confirm(session: Session, story: Story, *, by: int) -> bool:
    """Is this a second person: one who typed nothing since readers got what they have?"""
    current = get_current(session, story)
    return not typed_since(session, story.id, by, current.published_at)


def confirmation(session: Session, story: Story, *, besides: int) -> Review | None:
    """Who, other than `besides`, confirmed that what is saved now is style."""
    return session.scalar(
        select(Review)
        .where(
            Review.story_id == story.id,
            Review.verdict == Verdict.CONFIRMED,
            Review.edits == story.edits,
            Review.by_id != besides,
        )
        .order_by(Review.id.desc())
        .limit(1)
    )
