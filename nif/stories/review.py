"""Review: requesting it, sending a story back, approving it, and publishing at a set time."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.models import Account
from nif.errors import Conflict, Invalid
from nif.stories.models import Review, ReviewVerdict, Revision, Story, StoryState
from nif.stories.publishing import publish_story, require_checks_passed
from nif.stories.records import look_up_story_records

UNAPPROVED_STATES = (StoryState.DRAFT, StoryState.IN_REVIEW)


def request_review(session: Session, story: Story, *, by: Account, now: datetime) -> bool:
    """Put a draft into review. Returns False where it is in review already.

    Raises Conflict where it is scheduled or published.
    """
    if story.state is StoryState.IN_REVIEW:
        return False
    _require_state(story, (StoryState.DRAFT,))
    story.state = StoryState.IN_REVIEW
    record_review(session, story, ReviewVerdict.REQUESTED, by=by, now=now)
    return True


def send_back_story(
    session: Session, story: Story, remark: str, *, by: Account, now: datetime
) -> None:
    """Return a story to its author with a remark.

    Raises Invalid without a remark, Conflict where the story is neither in review nor scheduled.
    """
    _require_state(story, (StoryState.IN_REVIEW, StoryState.SCHEDULED))
    if not remark.strip():
        raise Invalid({"remark": "Say what should change."})
    story.state, story.publish_at = StoryState.DRAFT, None
    record_review(session, story, ReviewVerdict.SENT_BACK, by=by, now=now, remark=remark.strip())


def approve_story(session: Session, story: Story, *, by: Account, now: datetime) -> Revision:
    """Publish a story now, and record who approved which saved state.

    Raises Invalid where a check fails, Conflict where the story is published already.
    """
    if story.state is StoryState.PUBLISHED:
        raise Conflict("This story is published already.")
    record_review(session, story, ReviewVerdict.APPROVED, by=by, now=now)
    return publish_story(session, story, by=by.id, now=now)


def schedule_story(
    session: Session, story: Story, at: datetime, *, by: Account, now: datetime
) -> None:
    """Approve a story as it is now, for publication at `at`.

    Raises Invalid where `at` has passed or is before the end of the embargo, or a check fails;
    Conflict where the story is neither a draft nor in review.
    """
    _require_state(story, UNAPPROVED_STATES)
    if at <= now:
        raise Invalid({"publish_at": "That moment has passed. Choose a later one."})
    if story.embargo_until and at < story.embargo_until:
        raise Invalid({"publish_at": "The embargo ends later. Choose a time after it."})
    story.publish_at = at
    records = look_up_story_records(session, story, story_id=story.id, now=now)
    require_checks_passed(session, records)
    story.state = StoryState.SCHEDULED
    record_review(session, story, ReviewVerdict.APPROVED, by=by, now=now)


def unschedule_story(story: Story) -> None:
    """Return a scheduled story to review. Raises Conflict where it is not scheduled."""
    _require_state(story, (StoryState.SCHEDULED,))
    story.state, story.publish_at = StoryState.IN_REVIEW, None


def list_due_stories(session: Session, *, now: datetime) -> Sequence[int]:
    """The ids of the scheduled stories that are due, earliest first."""
    query = select(Story.id).where(Story.state == StoryState.SCHEDULED, Story.publish_at <= now)
    return session.scalars(query.order_by(Story.publish_at)).all()


def publish_scheduled_story(session: Session, story: Story, *, now: datetime) -> Revision | None:
    """Publish a scheduled story that is due, in the name of its approver.

    Returns None where it is not due or where a check fails now; in the latter case the story
    returns to review with a remark. The caller has locked it, so that two workers publish it once.
    """
    is_scheduled = story.state is StoryState.SCHEDULED
    if not is_scheduled or story.publish_at is None or story.publish_at > now:
        return None
    approvals = select(Review).where(
        Review.story_id == story.id, Review.verdict == ReviewVerdict.APPROVED
    )
    approval = session.scalar(approvals.order_by(Review.id.desc()).limit(1))
    try:
        return publish_story(session, story, by=approval.by_id if approval else None, now=now)
    except Invalid as error:
        story.state, story.publish_at = StoryState.IN_REVIEW, None
        remark = f"It was not published as scheduled. {error}"
        record_review(session, story, ReviewVerdict.SENT_BACK, by=None, now=now, remark=remark)
        return None


def list_reviews(session: Session, story_id: int) -> Sequence[Review]:
    """The last 50 review steps of a story, newest first."""
    query = select(Review).where(Review.story_id == story_id).order_by(Review.id.desc())
    return session.scalars(query.limit(50)).all()


def _require_state(story: Story, states: Sequence[StoryState]) -> None:
    if story.state not in states:
        raise Conflict("Someone else changed the state of this story meanwhile.")


def record_review(
    session: Session,
    story: Story,
    verdict: ReviewVerdict,
    *,
    by: Account | None,
    now: datetime,
    remark: str = "",
) -> None:
    """Record a step of a review of what is saved now; `by` is None where NIF took it."""
    by_id, name = (by.id, by.name) if by else (None, "NIF")
    step = {"verdict": verdict, "remark": remark, "by_id": by_id, "by": name, "at": now}
    session.add(Review(story_id=story.id, edits=story.edits, **step))
