"""Bylines: their names, the accounts behind them, and names without a public profile."""

from itertools import count

import pytest

from nif.accounts import accounts
from nif.accounts.accounts import ProfileInput
from nif.accounts.models import Account, RoleName
from nif.register.models import PartyKind
from nif.stories.checks import FindingLevel, run_checks
from nif.stories.drafts import get_story
from nif.stories.queries import list_newest_stories
from nif.stories.records import (
    list_byline_names_without_profile,
    look_up_story_records,
    save_story_parties,
    split_byline,
)
from tests.conftest import NOON
from tests.factories import a_draft, a_story, an_account
from tests.register.entries import a_party

_number = count(1)


def a_person(session, name: str, *, is_public: bool = True) -> Account:
    account = an_account(session, RoleName.EDITOR, email=f"person{next(_number)}@example.com")
    accounts.save_profile(session, account, ProfileInput(name, is_public=is_public))
    return account


@pytest.mark.parametrize(
    ("byline", "names"),
    [
        ("", []),
        ("Jo Reyes", ["Jo Reyes"]),
        ("Ann Lee, Bea Ito, and Cy Sand", ["Ann Lee", "Bea Ito", "Cy Sand"]),
        ("Ann Lee and Bea Ito & Ann Lee", ["Ann Lee", "Bea Ito"]),
        ("Andy Sandler", ["Andy Sandler"]),
    ],
)
def test_a_byline_is_split_into_names(byline: str, names: list[str]) -> None:
    assert split_byline(byline) == names


def test_a_byline_name_without_a_public_profile_is_a_warning(session) -> None:
    a_person(session, "Jo Reyes")
    a_person(session, "Sam Okafor", is_public=False)
    a_party(session, "The Turntable Gazette")
    a_party(session, "Wren Callowpike", kind=PartyKind.PERSON)

    assert (
        list_byline_names_without_profile(session, "Jo Reyes, The Turntable Gazette and NIF staff")
        == []
    )
    assert list_byline_names_without_profile(session, "Sam Okafor and Wren Callowpike") == [
        "Sam Okafor",
        "Wren Callowpike",
    ]
    found = {}
    for byline in ("Jo Reyes", "Sam Okafor"):
        story = a_draft(session, byline=byline)
        context = look_up_story_records(session, story, story_id=story.id, now=NOON)
        found[byline] = [(one.field, one.level) for one in run_checks(context) if one.code == "G02"]
    assert found == {"Jo Reyes": [], "Sam Okafor": [("byline", FindingLevel.WARN)]}


def test_the_stories_of_a_person_are_those_with_them_in_the_byline(session) -> None:
    jo, sam = a_person(session, "Jo Reyes"), a_person(session, "Sam Okafor")
    both = a_story(session, byline="Jo Reyes and Sam Okafor")
    own = a_story(session, byline="Jo Reyes")
    a_story(session, byline="Jo Reyes-Smith")
    a_draft(session, byline="Jo Reyes")
    sam.name = "Sam Reyes"

    first = list_newest_stories(session, person_id=jo.id, size=1)
    rest = list_newest_stories(session, person_id=jo.id, after=first.after, size=1)

    assert [one.id for one in (*first.rows, *rest.rows)] == [own.id, both.id]
    assert rest.after is None
    assert [one.id for one in list_newest_stories(session, person_id=sam.id).rows] == [both.id]


def test_a_byline_name_that_two_accounts_share_counts_for_the_author(session) -> None:
    one, other = a_person(session, "Jo Reyes"), a_person(session, "Jo Reyes")
    revision = a_story(session, byline="Jo Reyes")
    assert not list_newest_stories(session, person_id=one.id).rows

    story = get_story(session, revision.story_id)
    story.author_id = other.id
    records = look_up_story_records(session, story, story_id=story.id, now=NOON)
    save_story_parties(session, records, now=NOON)

    assert not list_newest_stories(session, person_id=one.id).rows
    assert list_newest_stories(session, person_id=other.id).rows
