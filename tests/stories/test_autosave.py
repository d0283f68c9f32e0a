"""Nothing that was typed is lost to whoever saves later."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from nif.accounts.models import Account
from nif.errors import NotFound
from nif.stories.autosave import (
    MOST_AUTOSAVES,
    find_autosave_of_edit,
    get_autosave,
    list_active_editors,
    list_autosaves,
    store_autosave,
)
from nif.stories.models import Story
from tests.conftest import NOON
from tests.factories import a_draft, an_account


@pytest.fixture
def story(session: Session) -> Story:
    return a_draft(session)


@pytest.fixture
def ann(session: Session) -> Account:
    return an_account(session, email="ann@example.com")


@pytest.fixture
def bea(session: Session) -> Account:
    made = an_account(session, email="bea@example.com")
    made.name = "Bea"
    return made


def typed(session: Session, story: Story, lead: str, by: Account, at: datetime) -> None:
    store_autosave(session, story.id, {"lead": lead}, edits=None, by=by, now=at)


def leads(session: Session, story: Story) -> list[str]:
    return [one.form["lead"] for one in list_autosaves(session, story.id)]


def test_both_texts_are_kept(session: Session, story: Story, ann: Account, bea: Account) -> None:
    typed(session, story, "Ann's", ann, NOON)
    typed(session, story, "Bea's", bea, NOON + timedelta(seconds=1))

    assert leads(session, story) == ["Bea's", "Ann's"]


def test_the_same_text_is_kept_once(session: Session, story: Story, ann: Account) -> None:
    typed(session, story, "Same", ann, NOON)
    store_autosave(
        session, story.id, {"lead": "Same"}, edits=3, by=ann, now=NOON + timedelta(minutes=1)
    )

    [one] = list_autosaves(session, story.id)
    assert (one.edits, one.at) == (3, NOON + timedelta(minutes=1))


def test_of_the_last_ten_minutes_each_is_kept_and_before_that_one_in_ten(
    session: Session, story: Story, ann: Account
) -> None:
    for n in range(31):
        typed(session, story, f"Minute {n}", ann, NOON + timedelta(minutes=n))

    last = [f"Minute {n}" for n in range(30, 20, -1)]
    assert leads(session, story) == [*last, "Minute 19", "Minute 9"]


def test_nobody_fills_the_house(session: Session, story: Story, ann: Account, bea: Account) -> None:
    typed(session, story, "Bea's", bea, NOON)
    for n in range(MOST_AUTOSAVES + 5):
        typed(session, story, str(n), ann, NOON + timedelta(seconds=n))

    found = leads(session, story)
    assert len(found) == MOST_AUTOSAVES + 1
    assert found[0] == str(MOST_AUTOSAVES + 4)
    assert "Bea's" in found


def test_who_saved_is_known(session: Session, story: Story, ann: Account, bea: Account) -> None:
    store_autosave(session, story.id, {"lead": "1"}, edits=1, by=ann, now=NOON)
    store_autosave(session, story.id, {"lead": "2"}, edits=None, by=bea, now=NOON)

    saved = find_autosave_of_edit(session, story.id, 1)
    assert saved is not None
    assert saved.by_id == ann.id
    assert find_autosave_of_edit(session, story.id, 2) is None


def test_who_is_at_it_is_told_to_the_others_for_a_while(
    session: Session, story: Story, ann: Account, bea: Account
) -> None:
    typed(session, story, "Bea's", bea, NOON)
    later = NOON + timedelta(seconds=20)

    assert list_active_editors(session, story.id, excluding=ann.id, now=later) == [("Bea", NOON)]
    assert list_active_editors(session, story.id, excluding=bea.id, now=later) == []
    assert (
        list_active_editors(session, story.id, excluding=ann.id, now=NOON + timedelta(minutes=2))
        == []
    )


def test_a_text_belongs_to_its_story(session: Session, story: Story, ann: Account) -> None:
    typed(session, story, "Here", ann, NOON)
    [one] = list_autosaves(session, story.id)

    assert get_autosave(session, story.id, one.id).form == {"lead": "Here"}
    with pytest.raises(NotFound):
        get_autosave(session, story.id + 1, one.id)
