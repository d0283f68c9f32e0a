"""No typed text is lost when another editor saves later."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from nif.accounts.models import Account
from nif.errors import NotFound
from nif.stories.drafts import (
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
    account = an_account(session, email="bea@example.com")
    account.name = "Bea"
    return account


def autosave(session: Session, story: Story, lead: str, by: Account, at: datetime) -> None:
    store_autosave(session, story.id, {"lead": lead}, edits=None, by=by, now=at)


def leads(session: Session, story: Story) -> list[str]:
    return [one.form["lead"] for one in list_autosaves(session, story.id)]


def test_the_texts_of_both_editors_are_stored(
    session: Session, story: Story, ann: Account, bea: Account
) -> None:
    autosave(session, story, "Ann's", ann, NOON)
    autosave(session, story, "Bea's", bea, NOON + timedelta(seconds=1))

    assert leads(session, story) == ["Bea's", "Ann's"]


def test_the_same_text_is_stored_once(session: Session, story: Story, ann: Account) -> None:
    autosave(session, story, "Same", ann, NOON)
    store_autosave(
        session, story.id, {"lead": "Same"}, edits=3, by=ann, now=NOON + timedelta(minutes=1)
    )

    [one] = list_autosaves(session, story.id)
    assert (one.edits, one.at) == (3, NOON + timedelta(minutes=1))


def test_every_autosave_of_the_last_ten_minutes_is_kept_and_one_in_ten_minutes_before(
    session: Session, story: Story, ann: Account
) -> None:
    for n in range(31):
        autosave(session, story, f"Minute {n}", ann, NOON + timedelta(minutes=n))

    last = [f"Minute {n}" for n in range(30, 20, -1)]
    assert leads(session, story) == [*last, "Minute 19", "Minute 9"]


def test_the_number_of_autosaves_of_one_editor_is_limited(
    session: Session, story: Story, ann: Account, bea: Account
) -> None:
    autosave(session, story, "Bea's", bea, NOON)
    for n in range(MOST_AUTOSAVES + 5):
        autosave(session, story, str(n), ann, NOON + timedelta(seconds=n))

    found = leads(session, story)
    assert len(found) == MOST_AUTOSAVES + 1
    assert found[0] == str(MOST_AUTOSAVES + 4)
    assert "Bea's" in found


def test_the_autosave_of_a_save_names_its_editor(
    session: Session, story: Story, ann: Account, bea: Account
) -> None:
    store_autosave(session, story.id, {"lead": "1"}, edits=1, by=ann, now=NOON)
    store_autosave(session, story.id, {"lead": "2"}, edits=None, by=bea, now=NOON)

    saved = find_autosave_of_edit(session, story.id, 1)
    assert saved is not None
    assert saved.by_id == ann.id
    assert find_autosave_of_edit(session, story.id, 2) is None


def test_other_editors_are_listed_as_active_for_a_while(
    session: Session, story: Story, ann: Account, bea: Account
) -> None:
    autosave(session, story, "Bea's", bea, NOON)
    later = NOON + timedelta(seconds=20)

    assert list_active_editors(session, story.id, excluding=ann.id, now=later) == [("Bea", NOON)]
    assert list_active_editors(session, story.id, excluding=bea.id, now=later) == []
    assert (
        list_active_editors(session, story.id, excluding=ann.id, now=NOON + timedelta(minutes=2))
        == []
    )


def test_an_autosave_is_found_only_under_its_story(
    session: Session, story: Story, ann: Account
) -> None:
    autosave(session, story, "Here", ann, NOON)
    [one] = list_autosaves(session, story.id)

    assert get_autosave(session, story.id, one.id).form == {"lead": "Here"}
    with pytest.raises(NotFound):
        get_autosave(session, story.id + 1, one.id)
