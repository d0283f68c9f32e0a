"""Nothing of a profile is public until its person chooses so."""

import pytest
from sqlalchemy.orm import Session

from nif.accounts import accounts
from nif.accounts.accounts import ProfileInput
from nif.errors import Invalid, NotFound
from tests.factories import an_account


def test_a_profile_is_hidden_until_it_is_public_and_its_slug_stays(session: Session) -> None:
    account = an_account(session)
    accounts.save_profile(session, account, ProfileInput("Ed Itor", bio="Writes."))
    assert accounts.list_public_profiles(session) == []

    accounts.save_profile(session, account, ProfileInput("Ed Itor", is_public=True))
    accounts.save_profile(session, account, ProfileInput("Ed Other", is_public=True))

    profile, name = accounts.get_public_profile(session, "ed-itor")
    assert (profile.account_id, name) == (account.id, "Ed Other")


def test_two_people_with_one_name_have_different_slugs(session: Session) -> None:
    for email in ("a@example.com", "b@example.com", "c@example.com"):
        account = an_account(session, email=email)
        accounts.save_profile(session, account, ProfileInput("Ed", is_public=True))

    assert sorted(one.slug for one, _ in accounts.list_public_profiles(session)) == [
        "ed",
        "ed-2",
        "ed-3",
    ]


def test_a_deactivated_account_leaves_the_list_and_keeps_its_page(session: Session) -> None:
    account = an_account(session)
    accounts.save_profile(session, account, ProfileInput("Ed", is_public=True))
    account.active = False

    assert accounts.list_public_profiles(session) == []
    assert accounts.get_public_profile(session, "ed")[1] == "Ed"
    with pytest.raises(NotFound):
        accounts.get_public_profile(session, "nobody")


def test_problems_of_a_profile_are_reported_by_field(session: Session) -> None:
    account = an_account(session)
    copy = ProfileInput("", bio="x" * 2001, contact="y" * 201)

    with pytest.raises(Invalid) as told:
        accounts.save_profile(session, account, copy)

    assert set(told.value.problems) == {"name", "bio", "contact"}
