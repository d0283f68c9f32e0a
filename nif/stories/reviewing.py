"""A second pair of eyes: asking for it, sending back, approving for a time, and that time."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.models import Account
from nif.errors import Conflict, Invalid
from nif.stories.kinds import Verdict
from nif.stories.models import Review, Revision, Story, StoryState
from nif.stories.publishing import pass_gates, publish

OPEN = (StoryState.DRAFT, StoryState.IN_REVIEW)


def ask_for_review(session: Session, story: Story, *, by: Account, now: datetime) -> bool:
    """Put a draft before the editors; False where it is before them already. Raises Conflict."""
    if story.state is StoryState.IN_REVIEW:
        return False
    _expect(story, (StoryState.DRAFT,))
    story.state = StoryState.IN_REVIEW
    _note(session, story, Verdict.ASKED, by=by, now=now)
    return True


def send_back(session: Session, story: Story, remark: str, *, by: Account, now: datetime) -> None:
    """Give a story back to its author, with a word on why. Raises Invalid and Conflict."""
    _expect(story, (StoryState.IN_REVIEW, StoryState.SCHEDULED))
    if not remark.strip():
        raise Invalid({"remark": "Say what should change."})
    story.state, story.publish_at = StoryState.DRAFT, None
    _note(session, story, Verdict.SENT_BACK, by=by, now=now, remark=remark.strip())


def approve(session: Session, story: Story, *, by: Account, now: datetime) -> Revision:
    """Publish a story now: who did, and what they saw, is kept. Raises Invalid and Conflict."""
    if story.state is StoryState.PUBLISHED:
        raise Conflict("This story is published already.")
    _note(session, story, Verdict.APPROVED, by=by, now=now)
    return publish(session, story, by=by.id, now=now)


def schedule(session: Session, story: Story, at: datetime, *, by: Account, now: datetime) -> None:
    """Approve a story as it is now, to be published at `at`. Raises Invalid and Conflict."""
    _expect(story, OPEN)
    if at <= now:
        raise Invalid({"publish_at": "That moment has passed. Give one that is to come."})
    story.publish_at = at
    pass_gates(session, story, now=now)
    story.state = StoryState.SCHEDULED
    _note(session, story, Verdict.APPROVED, by=by, now=now)


def take_off(story: Story) -> None:
    """Take a story off the schedule; it is in review again. Raises Conflict."""
    _expect(story, (StoryState.SCHEDULED,))
    story.state, story.publish_at = StoryState.IN_REVIEW, None


def due_stories(session: Session, *, now: datetime) -> Sequence[int]:
    """The stories whose time has come."""
    query = select(Story.id).where(Story.state == StoryState.SCHEDULED, Story.publish_at <= now)
    return session.scalars(query.order_by(Story.publish_at)).all()


def publish_due(session: Session, story: Story, *, now: datetime) -> Revision | None:
    """Publish a scheduled story in the name of whoever approved it; None where it is not due.

    The caller has locked it, so that two workers publish once. Where a gate has closed meanwhile,
    it goes back into review and says why.
    """
    if story.state is not StoryState.SCHEDULED or story.publish_at is None:
        return None
    if story.publish_at > now:
        return None
    approved = session.scalar(
        select(Review)
        .where(Review.story_id == story.id, Review.verdict == Verdict.APPROVED)
        .order_by(Review.id.desc())
        .limit(1)
    )
    try:
        return publish(session, story, by=approved.by_id if approved else None, now=now)
    except Invalid as error:
        story.state, story.publish_at = StoryState.IN_REVIEW, None
        remark = f"It was not published at its time. {error}"
        session.add(
            Review(
                story_id=story.id,
                edits=story.edits,
                verdict=Verdict.SENT_BACK,
                remark=remark,
                by="NIF",
                at=now,
            )
        )
        return None


def reviews(session: Session, story_id: int) -> Sequence[Review]:
    """What was said of a story, the last first."""
    query = select(Review).where(Review.story_id == story_id).order_by(Review.id.desc())
    return session.scalars(query.limit(50)).all()


def _expect(story: Story, states: Sequence[StoryState]) -> None:
    if story.state not in states:
        raise Conflict("Someone else has moved this story on meanwhile. Nothing was changed.")


def _note(
    session: Session,
    story: Story,
    verdict: Verdict,
    *,
    by: Account,
    now: datetime,
    remark: str = "",
) -> None:
    session.add(
        Review(
            story_id=story.id,
            edits=story.edits,
            verdict=verdict,
            remark=remark,
            by_id=by.id,
            by=by.name,
            at=now,
        )
    )
