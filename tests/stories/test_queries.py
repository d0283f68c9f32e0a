from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import select

from nif.errors import NotFound
from nif.stories.models import Story, Tag
from nif.stories.queries import (
    MOST_RELATED,
    get_published_revision,
    get_tag,
    list_newest_stories,
    list_related_stories,
    list_stories_since,
)
from tests.conftest import NOON
from tests.factories import a_draft, a_story

AGES = [0, 0, 0, 1, 1, 2, 2, 2, 2]
NO_STORIES = select(Story.id).where(Story.id < 0)


def stories_of_all_ages(session, **given):
    """Nine stories, several to a moment, with the newest not last; their ids, newest first."""
    made = [
        (-age, a_story(session, at=NOON - timedelta(microseconds=age), **given).story_id)
        for age in reversed(AGES)
    ]
    return [story_id for _, story_id in sorted(made, reverse=True)]


def walk(page_after):
    """The story ids of all pages, in order."""
    seen, after = [], None
    for _ in range(20):
        page = page_after(after)
        seen += [revision.story_id for revision in page.rows]
        after = page.after
        if after is None:
            return seen
    raise AssertionError("the pages do not end")


def test_pages_of_any_size_have_every_story_once_newest_first(session):
    ids = stories_of_all_ages(session)
    a_draft(session)

    for size in (1, 2, 3, 4, 8, 9, 10):
        seen = walk(lambda after, size=size: list_newest_stories(session, after=after, size=size))
        assert (size, seen) == (size, ids)


def test_pages_of_a_tag_have_only_its_stories(session):
    a_story(session, tags=["Lawsuits"])
    ids = stories_of_all_ages(session, tags=["Deals", "AI"])
    a_story(session, tags=[])
    a_draft(session, tags=["Deals"])

    tag = get_tag(session, "deals")
    for size in (1, 2, 9):
        seen = walk(
            lambda after, size=size: list_newest_stories(session, tag=tag, after=after, size=size)
        )
        assert (size, seen) == (size, ids)


def test_a_story_published_between_two_pages_repeats_no_story(session):
    ids = stories_of_all_ages(session)
    first = list_newest_stories(session, size=4)
    a_story(session, at=NOON + timedelta(hours=1))

    second = list_newest_stories(session, after=first.after, size=20)

    assert [each.story_id for each in (*first.rows, *second.rows)] == ids


def test_without_stories_there_is_one_empty_page(session):
    a_draft(session)

    page = list_newest_stories(session)

    assert (list(page.rows), page.after) == ([], None)


MALFORMED_POSITIONS = [
    "junk",
    "~",
    "~1",
    "2026-11-20",
    "2026-11-20~1",
    "2026-11-20T12:00:00~1",
    "2026-11-20T12:00:00+00:00",
    "2026-11-20T12:00:00+00:00~",
    "2026-11-20T12:00:00+00:00~one",
    "2026-11-20T12:00:00+00:00~1~2",
    "2026-11-20T12:00:00+00:00~1\0",
    f"2026-11-20T12:00:00+00:00~{2**63}",
    f"2026-11-20T12:00:00+00:00~-{2**64}",
    "2026-11-20T12:00:00+00:00~" + "9" * 5000,
    "2026-11-20T12:00:00+25:00~1",
    "0001-01-01T00:00:00+14:00~1",
    "9999-12-31T23:59:59-14:00~1",
    "' OR 1=1 --~1",
    "\ud800~1",
]


def test_a_malformed_page_position_is_not_found(session):
    a_story(session)

    found = []
    for after in MALFORMED_POSITIONS:
        with suppress(NotFound):
            list_newest_stories(session, after=after)
            found.append(after)

    assert found == []


def test_a_published_story_is_found_by_its_slug(session):
    a_story(session, headline="Noise")
    story = a_story(session, headline="Palisade Sells")

    assert get_published_revision(session, "palisade-sells").id == story.id


@pytest.mark.parametrize("slug", ["a-draft", "nothing", "", "PALISADE"])
def test_a_slug_without_a_published_story_is_not_found(session, slug):
    a_draft(session, headline="A Draft")
    a_story(session, headline="Palisade")

    with pytest.raises(NotFound):
        get_published_revision(session, slug)


@pytest.mark.parametrize("slug", ["nothing", "Deals"])
def test_an_unknown_tag_is_not_found(session, slug):
    a_story(session, tags=["Deals"])

    assert get_tag(session, "deals") == session.scalars(select(Tag)).one()
    with pytest.raises(NotFound):
        get_tag(session, slug)


def test_related_stories_are_ordered_by_shared_tags_then_newest(session):
    a_story(session, headline="Unrelated", tags=["Venues"])
    a_draft(session, headline="A Draft", tags=["AI", "Deals", "Law"])
    a_story(session, headline="One, Old", tags=["AI"], at=NOON - timedelta(days=2))
    a_story(session, headline="Three, Old", tags=["AI", "Deals", "Law"], at=NOON - timedelta(9))
    a_story(session, headline="One, New", tags=["Law", "Venues"], at=NOON)
    own = a_story(session, headline="Own", tags=["AI", "Deals", "Law"])

    assert [each.headline for each in list_related_stories(session, own)] == [
        "Three, Old",
        "One, New",
        "One, Old",
    ]


def test_the_number_of_related_stories_is_limited(session):
    for _ in range(MOST_RELATED + 2):
        a_story(session, tags=["AI"])

    assert len(list_related_stories(session, a_story(session, tags=["AI"]))) == MOST_RELATED


def test_a_story_without_tags_has_no_related_ones(session):
    a_story(session, tags=[])

    assert list(list_related_stories(session, a_story(session, tags=[]))) == []


def test_stories_since_a_moment_leave_out_the_excluded_ones(session):
    a_draft(session)
    a_story(session, headline="Too Old", at=NOON - timedelta(hours=2))
    a_story(session, headline="At The Edge", at=NOON - timedelta(hours=1))
    known = a_story(session, headline="Known")
    a_story(session, headline="New", at=NOON)

    found = list_stories_since(
        session,
        select(Story.id).where(Story.id == known.story_id),
        since=NOON - timedelta(hours=1),
        most=10,
    )

    assert [each.headline for each in found] == ["New", "At The Edge"]


def test_of_too_many_stories_the_oldest_are_returned_so_that_none_is_lost(session):
    ids = stories_of_all_ages(session)

    found = list_stories_since(session, NO_STORIES, since=NOON - timedelta(days=1), most=4)

    assert [each.story_id for each in found] == ids[-4:]
