"""Invitations are valid for three days, for one password, and until they are withdrawn."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from nif.accounts import accounts
from nif.accounts.audit_log import NamedActor
from nif.accounts.models import Account, AccountState, RoleName
from nif.errors import Conflict, Expired, Invalid, NotFound
from nif.tokens import TokenPurpose, Tokens
from tests.conftest import NOON

BOSS = NamedActor("The boss")
TOKENS = Tokens([b"a key for tests"])


def an_invited_account(session: Session, email: str = "new@example.com") -> Account:
    return accounts.invite_colleague(session, BOSS, email, "New Hand", RoleName.AUTHOR, now=NOON)


def open_link(session: Session, token: str, **later: int) -> Account:
    return accounts.get_invited_account(session, token, TOKENS, now=NOON + timedelta(**later))


def test_a_link_opens_its_invitation_for_three_days(session: Session) -> None:
    account, noise = an_invited_account(session), an_invited_account(session, "noise@example.com")
    token = accounts.make_invitation_token(account, TOKENS)

    assert account.state is AccountState.INVITED
    assert open_link(session, token, hours=71).id == account.id != noise.id
    with pytest.raises(Expired):
        open_link(session, token, days=3, seconds=1)


def test_a_link_is_used_up_by_the_password(session: Session) -> None:
    account = an_invited_account(session)
    token, uniquifier = accounts.make_invitation_token(account, TOKENS), account.fs_uniquifier

    accounts.accept_invitation(session, account, "a hash", now=NOON)

    assert account.state is AccountState.ACTIVE
    assert account.fs_uniquifier != uniquifier
    with pytest.raises(Expired):
        open_link(session, token)


def test_a_withdrawn_invitation_is_void_until_it_is_renewed(session: Session) -> None:
    account = an_invited_account(session)
    first = accounts.make_invitation_token(account, TOKENS)
    accounts.withdraw_invitation(session, BOSS, account, now=NOON)
    assert account.state is AccountState.DEACTIVATED
    with pytest.raises(Expired):
        open_link(session, first)

    accounts.renew_invitation(session, BOSS, account, now=NOON + timedelta(hours=1))

    with pytest.raises(Expired):
        open_link(session, first, hours=1)
    assert (
        open_link(session, accounts.make_invitation_token(account, TOKENS), hours=1).id
        == account.id
    )


def test_an_accepted_invitation_can_be_neither_renewed_nor_withdrawn(session: Session) -> None:
    account = an_invited_account(session)
    accounts.accept_invitation(session, account, "a hash", now=NOON)

    for action in (accounts.renew_invitation, accounts.withdraw_invitation):
        with pytest.raises(Conflict):
            action(session, BOSS, account, now=NOON)


def test_a_token_of_another_purpose_or_account_opens_nothing(session: Session) -> None:
    account = an_invited_account(session)
    session.flush()

    for token in (
        TOKENS.make(TokenPurpose.CONFIRM, account.id, 0),
        TOKENS.make(TokenPurpose.INVITATION, account.id + 1000, 0),
        "x",
    ):
        with pytest.raises(NotFound):
            open_link(session, token)


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "Two\nlines"])
def test_a_name_that_does_not_fit_a_byline_is_refused(session: Session, name: str) -> None:
    with pytest.raises(Invalid):
        accounts.invite_colleague(session, BOSS, "a@example.com", name, RoleName.EDITOR, now=NOON)
