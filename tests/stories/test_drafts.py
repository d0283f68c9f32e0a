import pytest
from sqlalchemy import func, select

from nif.errors import Conflict, NotFound
from nif.stories.drafts import SourceInput, create_draft, get_story, save_draft
from nif.stories.models import SourceKind, StorySource, StoryState, Tag
from nif.stories.publishing import publish_story
from tests.conftest import NOON
from tests.factories import a_draft, an_account, story_copy


def test_a_draft_has_what_its_editor_entered(session):
    editor = an_account(session)
    copy = story_copy(headline="Palisade Sells", tags=["Deals", "Catalogues"])

    story = create_draft(session, copy, author_id=editor.id, now=NOON)
    session.commit()
    session.expire_all()

    assert (story.slug, story.state) == ("palisade-sells", StoryState.DRAFT)
    assert (story.headline, story.lead, story.author_id) == (copy.headline, copy.lead, editor.id)
    assert story.sections == [
        {
            "label": "Why it matters:",
            "bullets": ["It is the largest sale of the year."],
            "picture": None,
        }
    ]
    assert [source.publisher for source in story.sources] == ["The Turntable Gazette"]
    assert [tag.slug for tag in story.tags] == ["catalogues", "deals"]
    assert (story.created_at, story.updated_at, story.edits) == (NOON, NOON, 0)


def test_the_slug_of_a_draft_follows_its_headline(session):
    story = a_draft(session, headline="Palisade Sells")

    save_draft(session, story, story_copy(headline="Palisade Buys"), edits=0, now=NOON)

    assert (story.headline, story.slug) == ("Palisade Buys", "palisade-buys")


def test_a_second_story_with_the_same_slug_takes_the_next_number(session):
    for headline in ("Palisade Sells Out", "Palisade"):
        a_draft(session, headline=headline)

    slugs = [a_draft(session, headline="Palisade Sells").slug for _ in range(3)]

    assert slugs == ["palisade-sells", "palisade-sells-2", "palisade-sells-3"]


def test_a_headline_with_the_same_slug_keeps_its_number(session):
    a_draft(session, headline="Palisade Sells")
    story = a_draft(session, headline="Palisade sells")

    save_draft(session, story, story_copy(headline="Palisade Sells!"), edits=0, now=NOON)

    assert story.slug == "palisade-sells-2"


def test_saving_over_the_save_of_another_editor_is_a_conflict(session):
    story = a_draft(session, headline="As It Was")
    save_draft(session, story, story_copy(headline="Of The First"), edits=0, now=NOON)

    with pytest.raises(Conflict, match="Someone else saved"):
        save_draft(session, story, story_copy(headline="Of The Second"), edits=0, now=NOON)

    assert (story.headline, story.slug, story.edits) == ("Of The First", "of-the-first", 1)


def test_an_editor_may_save_repeatedly(session):
    story = a_draft(session)

    for edits in range(3):
        save_draft(session, story, story_copy(headline=f"Save {edits}"), edits=edits, now=NOON)

    assert (story.headline, story.edits) == ("Save 2", 3)


def test_saving_a_published_story_changes_its_working_copy_but_not_its_slug(session):
    story = a_draft(session, headline="As Published")
    revision = publish_story(session, story, by=None, now=NOON)

    save_draft(session, story, story_copy(headline="Afterwards"), edits=1, now=NOON)

    assert (story.headline, story.slug, story.edits) == ("Afterwards", "as-published", 2)
    assert (story.current_id, revision.headline) == (revision.id, "As Published")


def test_a_scheduled_story_cannot_be_saved(session):
    story = a_draft(session)
    story.state = StoryState.SCHEDULED

    with pytest.raises(Conflict, match="schedule"):
        save_draft(session, story, story_copy(headline="Afterwards"), edits=0, now=NOON)


def test_tags_are_matched_by_slug(session):
    first = a_draft(session, tags=["AI Training", "Deals"])
    second = a_draft(session, tags=["ai training", " ", "", "AI-Training", "Lawsuits"])

    assert [tag.name for tag in second.tags if tag in first.tags] == ["AI Training"]
    assert session.scalar(select(func.count()).select_from(Tag)) == 3


def test_a_tag_removed_from_one_story_stays_on_others(session):
    other = a_draft(session, tags=["Deals"])
    story = a_draft(session, tags=["Deals", "AI"])

    save_draft(session, story, story_copy(tags=["AI"]), edits=0, now=NOON)
    session.flush()
    session.expire_all()

    assert [tag.name for tag in story.tags] == ["AI"]
    assert [tag.name for tag in other.tags] == ["Deals"]


def test_saving_replaces_all_sources(session):
    a_draft(session)
    story = a_draft(session)
    sources = [SourceInput(SourceKind.OWN_REPORTING), SourceInput(SourceKind.DATASET, "Luminate")]

    save_draft(session, story, story_copy(sources=sources), edits=0, now=NOON)
    session.flush()
    session.expire_all()

    assert [(source.position, source.publisher) for source in story.sources] == [
        (1, ""),
        (2, "Luminate"),
    ]
    assert session.scalar(select(func.count()).select_from(StorySource)) == 3


def test_an_unknown_story_is_not_found(session):
    story = a_draft(session)

    assert get_story(session, story.id, lock=True) is story
    with pytest.raises(NotFound):
        get_story(session, story.id + 1)
