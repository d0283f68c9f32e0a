"""Review, scheduling, and publication at the scheduled time, exactly once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from nif.errors import Conflict, Invalid
from nif.stories.drafts import get_story, save_draft
from nif.stories.models import ReviewVerdict, Revision, StoryState
from nif.stories.publishing import (
    approve_story,
    list_due_stories,
    list_reviews,
    publish_scheduled_story,
    request_review,
    schedule_story,
    send_back_story,
    unschedule_story,
)
from tests.conftest import NOON
from tests.factories import a_draft, an_account, story_copy

LATER = NOON + timedelta(hours=2)


@pytest.fixture
def editor(session):
    return an_account(session)


def verdicts(session, story):
    return [(one.verdict, one.by, one.edits) for one in list_reviews(session, story.id)]


def test_a_story_in_review_is_sent_back_with_a_remark(session, editor):
    story = a_draft(session)

    request_review(session, story, by=editor, now=NOON)
    request_review(session, story, by=editor, now=NOON)
    assert story.state is StoryState.IN_REVIEW
    with pytest.raises(Invalid) as refusal:
        send_back_story(session, story, " ", by=editor, now=NOON)
    send_back_story(session, story, "Who says so?", by=editor, now=NOON)

    assert list(refusal.value.problems) == ["remark"]
    assert story.state is StoryState.DRAFT
    assert verdicts(session, story) == [
        (ReviewVerdict.SENT_BACK, editor.name, 0),
        (ReviewVerdict.REQUESTED, editor.name, 0),
    ]
    assert list_reviews(session, story.id)[0].remark == "Who says so?"


def test_an_approval_records_the_editor_and_the_saved_state(session, editor):
    story = a_draft(session)
    save_draft(session, story, story_copy(headline="Once More"), edits=0, now=NOON)

    revision = approve_story(session, story, by=editor, now=NOON)

    assert revision.published_by_id == editor.id
    assert verdicts(session, story) == [(ReviewVerdict.APPROVED, editor.name, 1)]
    with pytest.raises(Conflict):
        approve_story(session, story, by=editor, now=NOON)


def test_a_scheduled_story_waits_for_its_time_and_cannot_be_saved(session, editor):
    story = a_draft(session)

    schedule_story(session, story, LATER, by=editor, now=NOON)

    assert story.state is StoryState.SCHEDULED
    assert list_due_stories(session, now=NOON) == []
    assert publish_scheduled_story(session, story, now=NOON) is None
    with pytest.raises(Conflict, match="scheduled"):
        save_draft(session, story, story_copy(), edits=0, now=NOON)
    assert list_due_stories(session, now=LATER) == [story.id]
    revision = publish_scheduled_story(session, story, now=LATER)
    assert (revision.published_at, revision.published_by_id) == (LATER, editor.id)
    assert story.state is StoryState.PUBLISHED
    assert publish_scheduled_story(session, story, now=LATER) is None


def test_an_unscheduled_story_is_not_published(session, editor):
    story = a_draft(session)
    schedule_story(session, story, LATER, by=editor, now=NOON)

    unschedule_story(story)

    assert (story.state, story.publish_at) == (StoryState.IN_REVIEW, None)
    assert publish_scheduled_story(session, story, now=LATER) is None
    with pytest.raises(Conflict):
        unschedule_story(story)


@pytest.mark.parametrize(("at", "field"), [(NOON, "publish_at"), (LATER, "lead")])
def test_a_story_that_could_not_be_published_is_not_scheduled(session, editor, at, field):
    story = a_draft(session, lead="" if field == "lead" else "A lead.")

    with pytest.raises(Invalid) as refusal:
        schedule_story(session, story, at, by=editor, now=NOON)

    assert list(refusal.value.problems) == [field]
    assert story.state is StoryState.DRAFT


def test_a_time_before_the_embargo_is_refused(session, editor):
    story = a_draft(session, embargo_until=LATER)

    with pytest.raises(Invalid) as refusal:
        schedule_story(session, story, NOON + timedelta(hours=1), by=editor, now=NOON)
    story.publish_at = None
    schedule_story(session, story, LATER, by=editor, now=NOON)

    assert list(refusal.value.problems) == ["publish_at"]


def test_a_scheduled_story_that_fails_a_check_returns_to_review_with_a_remark(session, editor):
    story = a_draft(session)
    schedule_story(session, story, LATER, by=editor, now=NOON)
    story.answers = {}

    assert publish_scheduled_story(session, story, now=LATER) is None

    assert story.state is StoryState.IN_REVIEW
    last = list_reviews(session, story.id)[0]
    assert last.by == "NIF"
    assert "It was not published as scheduled." in last.remark


def test_four_workers_publish_a_scheduled_story_once(database):
    with database.transaction() as session:
        story = a_draft(session)
        schedule_story(session, story, LATER, by=an_account(session), now=NOON)
        story_id = story.id

    def publish(_):
        with database.transaction() as session:
            return publish_scheduled_story(
                session, get_story(session, story_id, lock=True), now=LATER
            )

    with ThreadPoolExecutor(4) as pool:
        published = [one for one in pool.map(publish, range(4)) if one]

    assert len(published) == 1
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Revision)) == 1
