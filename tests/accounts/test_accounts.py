"""Roles and deactivation: sessions end, and the last admin stays."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts import accounts
from nif.accounts.audit_log import AuditEntry
from nif.accounts.models import Account, RoleName
from nif.errors import Conflict, NotAllowed
from tests.conftest import NOON
from tests.factories import an_account


def an_admin(session: Session, email: str) -> Account:
    account = an_account(session, RoleName.ADMIN, email)
    account.password = "a hash"
    return account


def test_a_role_includes_the_roles_below_it() -> None:
    ranks = list(RoleName)
    for n, role in enumerate(ranks):
        account = Account(role=role, active=True)
        assert [each for each in ranks if account.may(each)] == ranks[: n + 1]
        assert not any(Account(role=role, active=False).may(each) for each in ranks)


def test_a_new_role_ends_the_sessions_and_records_the_old_one(session: Session) -> None:
    boss, other = an_admin(session, "boss@example.com"), an_account(session)
    uniquifier = other.fs_uniquifier

    accounts.change_account_role(session, boss, other, RoleName.STANDARDS, now=NOON)

    assert other.role is RoleName.STANDARDS
    assert other.fs_uniquifier != uniquifier
    act = session.scalars(select(AuditEntry)).one()
    assert (act.account_name, act.action, act.subject_id) == (
        "Ed Itor",
        "role_changed",
        str(other.id),
    )
    assert act.detail == {"role": {"before": "editor", "after": "standards"}}


def test_setting_the_same_role_again_changes_nothing(session: Session) -> None:
    boss, other = an_admin(session, "boss@example.com"), an_account(session)
    uniquifier = other.fs_uniquifier

    accounts.change_account_role(session, boss, other, RoleName.EDITOR, now=NOON)

    assert other.fs_uniquifier == uniquifier


def test_nobody_changes_their_own_access(session: Session) -> None:
    boss = an_admin(session, "boss@example.com")
    an_admin(session, "other@example.com")

    with pytest.raises(NotAllowed):
        accounts.change_account_role(session, boss, boss, RoleName.AUTHOR, now=NOON)
    for action in (accounts.deactivate_account, accounts.clear_second_factors):
        with pytest.raises(NotAllowed):
            action(session, boss, boss, now=NOON)


def test_the_last_admin_who_can_sign_in_stays(session: Session) -> None:
    """An admin who is only invited, or deactivated, does not count."""
    last, editor = an_admin(session, "last@example.com"), an_account(session)
    an_account(session, RoleName.ADMIN, "invited@example.com")
    an_admin(session, "off@example.com").active = False

    with pytest.raises(Conflict):
        accounts.deactivate_account(session, editor, last, now=NOON)
    with pytest.raises(Conflict):
        accounts.change_account_role(session, editor, last, RoleName.EDITOR, now=NOON)

    second = an_admin(session, "second@example.com")
    accounts.deactivate_account(session, second, last, now=NOON)
    assert not last.active


def test_reactivating_an_account_restores_no_session(session: Session) -> None:
    boss, other = an_admin(session, "boss@example.com"), an_account(session)
    seen = {other.fs_uniquifier}
    for action in (accounts.deactivate_account, accounts.reactivate_account):
        action(session, boss, other, now=NOON)
        assert other.fs_uniquifier not in seen
        seen.add(other.fs_uniquifier)
    assert other.active
