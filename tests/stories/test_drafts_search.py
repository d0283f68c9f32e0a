"""The newsroom finds stories in any state by parts of their words."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from nif.stories.drafts import fold_search_text, save_draft, search_stories
from nif.stories.models import StoryState
from tests.conftest import NOON
from tests.factories import a_draft, a_story, an_account, story_copy


def headlines(session: Session, **given: object) -> list[str]:
    return [story.headline for story in search_stories(session, **given).rows]  # type: ignore[arg-type]


@pytest.fixture
def some_stories(session: Session) -> None:
    a_story(session, headline="Beyoncé’s Label Wins", tags=["Courts"], byline="Åsa Öberg")
    a_draft(session, headline="100% of Royalties", tags=["Live music"])
    a_draft(session, headline="Noise", tags=["Deals"])


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("beyonce", "Beyoncé’s Label Wins"),
        ("EYONCÉ", "Beyoncé’s Label Wins"),
        ("beyoncé's", "Beyoncé’s Label Wins"),
        ("oberg label", "Beyoncé’s Label Wins"),
        ("cour", "Beyoncé’s Label Wins"),
        ("100-of", "100% of Royalties"),
        ("0%", "100% of Royalties"),
        ("live mus", "100% of Royalties"),
    ],
)
def test_a_story_is_found_by_a_part_of_a_word(
    session: Session, some_stories: None, words: str, found: str
) -> None:
    assert headlines(session, words=words) == [found]


@pytest.mark.parametrize("words", ["_", "wins royalties", "\\", "' OR 1=1"])
def test_words_that_no_story_contains_find_nothing(
    session: Session, some_stories: None, words: str
) -> None:
    assert headlines(session, words=words) == []


def test_a_story_is_found_by_its_present_words_only(session: Session) -> None:
    story = a_draft(session, headline="Before")
    save_draft(session, story, story_copy(headline="After", tags=[]), edits=0, now=NOON)

    assert headlines(session, words="before") == []
    assert headlines(session, words="deals") == []
    assert headlines(session, words="after") == ["After"]


def test_a_search_can_be_limited_to_a_state_and_an_author(
    session: Session, some_stories: None
) -> None:
    me = an_account(session)
    a_draft(session, headline="My noise").author_id = me.id
    session.flush()

    assert headlines(session, words="noise", author_id=me.id) == ["My noise"]
    assert headlines(session, state=StoryState.PUBLISHED) == ["Beyoncé’s Label Wins"]
    assert len(headlines(session, words="o")) == 4


def test_pages_of_results_have_every_story_once(session: Session) -> None:
    for n in range(5):
        a_draft(session, headline=f"Part {n}").updated_at = NOON + timedelta(minutes=n // 2)
    session.flush()

    first = search_stories(session, words="part", size=2)
    second = search_stories(session, words="part", size=2, after=first.after)
    third = search_stories(session, words="part", size=2, after=second.after)

    seen = [one.headline for page in (first, second, third) for one in page.rows]
    assert seen == ["Part 4", "Part 3", "Part 2", "Part 1", "Part 0"]
    assert third.after is None


def test_folding_a_text_again_changes_nothing() -> None:
    assert (
        fold_search_text(fold_search_text("  ÀÉ’s  ß "))
        == fold_search_text("  ÀÉ’s  ß ")
        == "ae's ss"
    )
