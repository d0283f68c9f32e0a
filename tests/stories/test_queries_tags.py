import pytest

from nif.errors import Invalid
from nif.stories import queries as stories_tags
from nif.stories.queries import list_most_used_tags, parse_tags, tag_names_of
from tests.conftest import NOON
from tests.factories import a_draft, a_story


def test_the_most_used_tags_of_the_newest_stories_are_listed_by_name(session, monkeypatch):
    a_story(session, at=NOON.replace(year=2025), tags=["Long Ago", "Deals"])
    for tags in (["touring", "AI"], ["touring", "AI"], ["touring", "AI", "Deals"]):
        a_story(session, at=NOON, tags=tags)
    a_draft(session, tags=["Not Published"])

    assert list(list_most_used_tags(session, most=3).values()) == ["AI", "Deals", "touring"]
    assert list(list_most_used_tags(session, most=2)) == ["ai", "touring"]
    monkeypatch.setattr(stories_tags, "RECENT_STORIES", 3)
    assert "long-ago" not in list_most_used_tags(session)


def test_typed_tags_must_exist(session):
    a_story(session, tags=["AI Music", "Deals"])

    assert parse_tags(session, " Deals,, ai  music ,deals") == ("ai-music", "deals")
    assert parse_tags(session, " , ") == ()
    assert tag_names_of(session, ["deals", "gone"]) == {"deals": "Deals"}
    with pytest.raises(Invalid) as refusal:
        parse_tags(session, "Deals, Gardening")
    assert refusal.value.problems == {"topics": "No story has this topic yet: Gardening."}
