"""Invitations: good for three days, for one password, and until they are withdrawn."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from nif.accounts import accounts
from nif.accounts.audit_log import SystemActor
from nif.accounts.models import Account, AccountState, RoleName
from nif.errors import Conflict, Expired, Invalid, NotFound
from nif.tokens import TokenPurpose, Tokens
from tests.conftest import NOON

BOSS = SystemActor("The boss")
TOKENS = Tokens([b"a key for tests"])


def invited(session: Session, email: str = "new@example.com") -> Account:
    return accounts.invite_colleague(session, BOSS, email, "New Hand", RoleName.AUTHOR, now=NOON)


def opened(session: Session, token: str, **later: int) -> Account:
    return accounts.get_invited_account(session, token, TOKENS, now=NOON + timedelta(**later))


def test_a_link_opens_its_own_invitation_for_three_days(session: Session) -> None:
    account, noise = invited(session), invited(session, "noise@example.com")
    token = accounts.make_invitation_token(account, TOKENS)

    assert account.state is AccountState.INVITED
    assert opened(session, token, hours=71).id == account.id != noise.id
    with pytest.raises(Expired):
        opened(session, token, days=3, seconds=1)


def test_a_link_is_used_up_by_the_password(session: Session) -> None:
    account = invited(session)
    token, uniquifier = accounts.make_invitation_token(account, TOKENS), account.fs_uniquifier

    accounts.accept_invitation(session, account, "a hash", now=NOON)

    assert account.state is AccountState.ACTIVE
    assert account.fs_uniquifier != uniquifier
    with pytest.raises(Expired):
        opened(session, token)


def test_a_withdrawn_invitation_opens_nothing_until_it_is_made_again(session: Session) -> None:
    account = invited(session)
    first = accounts.make_invitation_token(account, TOKENS)
    accounts.withdraw_invitation(session, BOSS, account, now=NOON)
    assert account.state is AccountState.DEACTIVATED
    with pytest.raises(Expired):
        opened(session, first)

    accounts.renew_invitation(session, BOSS, account, now=NOON + timedelta(hours=1))

    with pytest.raises(Expired):
        opened(session, first, hours=1)
    assert (
        opened(session, accounts.make_invitation_token(account, TOKENS), hours=1).id == account.id
    )


def test_who_has_accepted_is_neither_invited_again_nor_withdrawn(session: Session) -> None:
    account = invited(session)
    accounts.accept_invitation(session, account, "a hash", now=NOON)

    for deed in (accounts.renew_invitation, accounts.withdraw_invitation):
        with pytest.raises(Conflict):
            deed(session, BOSS, account, now=NOON)


def test_a_token_of_another_purpose_or_of_nobody_opens_nothing(session: Session) -> None:
    account = invited(session)
    session.flush()

    for token in (
        TOKENS.make(TokenPurpose.CONFIRM, account.id, 0),
        TOKENS.make(TokenPurpose.INVITATION, account.id + 1000, 0),
        "x",
    ):
        with pytest.raises(NotFound):
            opened(session, token)


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "Two\nlines"])
def test_a_name_that_cannot_stand_in_a_byline_is_refused(session: Session, name: str) -> None:
    with pytest.raises(Invalid):
        accounts.invite_colleague(session, BOSS, "a@example.com", name, RoleName.EDITOR, now=NOON)
