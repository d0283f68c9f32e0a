"""Profiles: nothing is public until its person says so."""

import pytest
from sqlalchemy.orm import Session

from nif.accounts import profiling
from nif.accounts.profiling import ProfileCopy
from nif.errors import Invalid, NotFound
from tests.factories import an_account


def test_a_profile_is_hidden_until_it_is_public_and_its_slug_stays(session: Session) -> None:
    account = an_account(session)
    profiling.write(session, account, ProfileCopy("Ed Itor", bio="Writes."), wanted="ed-itor")
    assert profiling.masthead(session) == []
    assert not profiling.has_public_profile(session, account.id)

    profiling.write(session, account, ProfileCopy("Ed Itor", is_public=True), wanted="ed-itor")
    profiling.write(session, account, ProfileCopy("Ed Other", is_public=True), wanted="ed-other")

    profile, name = profiling.get_public(session, "ed-itor")
    assert (profile.account_id, name) == (account.id, "Ed Other")
    assert profiling.has_public_profile(session, account.id)


def test_two_of_one_name_have_addresses_of_their_own(session: Session) -> None:
    for email in ("a@example.com", "b@example.com", "c@example.com"):
        account = an_account(session, email=email)
        profiling.write(session, account, ProfileCopy("Ed", is_public=True), wanted="ed")

    assert sorted(one.slug for one, _ in profiling.masthead(session)) == ["ed", "ed-2", "ed-3"]


def test_who_was_switched_off_leaves_the_masthead_and_keeps_the_page(session: Session) -> None:
    account = an_account(session)
    profiling.write(session, account, ProfileCopy("Ed", is_public=True), wanted="ed")
    account.active = False

    assert profiling.masthead(session) == []
    assert profiling.get_public(session, "ed")[1] == "Ed"
    with pytest.raises(NotFound):
        profiling.get_public(session, "nobody")


def test_what_does_not_fit_is_named_by_its_field(session: Session) -> None:
    account = an_account(session)
    copy = ProfileCopy("", bio="x" * 2001, contact="y" * 201)

    with pytest.raises(Invalid) as told:
        profiling.write(session, account, copy, wanted="x")

    assert set(told.value.problems) == {"name", "bio", "contact"}
