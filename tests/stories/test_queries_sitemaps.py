"""Sitemaps list all published stories and tags in stable parts."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from nif.stories import queries
from nif.stories.models import Story, Tag
from tests.conftest import NOON
from tests.factories import a_draft, a_story


def test_a_new_story_moves_no_other_to_another_sitemap_part(session: Session) -> None:
    stories = [a_story(session, headline=f"Story {n}") for n in range(7)]
    before = parts_of(session)
    stories += [a_story(session, headline=f"Later {n}") for n in range(5)]
    after = parts_of(session)

    assert sorted(slug for part in after.values() for slug in part) == sorted(
        story.slug for story in stories
    )
    assert all(len(part) <= 3 for part in after.values())
    for number, slugs in before.items():
        assert after[number][: len(slugs)] == slugs
    full = [number for number, slugs in before.items() if number != max(before)]
    assert all(after[number] == before[number] for number in full)


def parts_of(session: Session) -> dict[int, list[str]]:
    return {
        number: [one.slug for one in queries.list_sitemap_entries(session, Story, number, size=3)]
        for number, _ in queries.list_sitemap_parts(session, Story, size=3)
    }


def test_a_sitemap_part_without_a_published_story_is_not_listed(session: Session) -> None:
    for n in range(6):
        a_draft(session, headline=f"Draft {n}")
    only = a_story(session)

    (part,) = queries.list_sitemap_parts(session, Story, size=2)
    assert part.changed_at == NOON
    assert [
        one.slug for one in queries.list_sitemap_entries(session, Story, part.number, size=2)
    ] == [only.slug]
    assert [number for number, _ in queries.list_sitemap_parts(session, Tag)] == [1]
    assert [one.slug for one in queries.list_sitemap_entries(session, Tag, 1)] == ["deals"]


def test_a_sitemap_takes_one_query_without_offset(session: Session) -> None:
    for _ in range(9):
        a_story(session)
    statements: list[str] = []
    event.listen(
        session.get_bind(), "before_cursor_execute", lambda *given: statements.append(given[2])
    )
    queries.list_sitemap_entries(session, Story, 1)
    queries.list_sitemap_parts(session, Story)

    assert len(statements) == 2
    assert not [one for one in statements if "OFFSET" in one or "count(" in one.lower()]


def test_the_news_sitemap_is_limited_in_number_and_age(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "MOST_NEWS_ENTRIES", 2)
    for hours in range(4):
        a_story(session, headline=f"Story {hours}", at=NOON - timedelta(hours=hours))

    found = queries.list_news_entries(session, since=NOON - timedelta(hours=1))
    assert [one.headline for one in found] == ["Story 0", "Story 1"]
    assert len(queries.list_news_entries(session, since=NOON - timedelta(hours=9))) == 2
    assert queries.list_news_entries(session, since=datetime(2030, 1, 1, tzinfo=UTC)) == []
