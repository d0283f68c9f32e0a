"""Roles, and switching accounts off and on. Nothing is deleted: bylines and acts stay."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import uuid4

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session, selectinload

from nif.accounts.auditing import Doer, changed, note
from nif.accounts.models import Account, RoleName
from nif.errors import Conflict, NotAllowed, NotFound

OWN_ROLE = "Nobody changes what they may do themselves. Ask another admin."
LAST_ADMIN = "This is the last admin who can sign in. Make someone else an admin first."


def everyone(session: Session) -> Sequence[Account]:
    """All accounts by name, with what they prove themselves by. A newsroom has dozens."""
    query = select(Account).order_by(Account.name, Account.id)
    return session.scalars(query.options(selectinload(Account.webauthn))).all()


def get_account(session: Session, account_id: int) -> Account:
    """Raises NotFound."""
    account = session.get(Account, account_id)
    if account is None:
        raise NotFound("There is no such account.")
    return account


def change_role(
    session: Session, by: Doer, account: Account, role: RoleName, *, now: datetime
) -> None:
    """Give an account another role and end its sessions; the same role changes nothing.

    Raises NotAllowed for one's own role, Conflict where no admin would be left.
    """
    _must_be_another(by, account)
    if account.role is role:
        return
    if role is not RoleName.ADMIN:
        _must_leave_an_admin(session, account)
    detail = {"role": changed(account.role.value, role.value)}
    account.role = role
    end_sessions(account)
    note(session, by, "role_changed", kind="account", subject=account.id, detail=detail, now=now)


def switch_off(session: Session, by: Doer, account: Account, *, now: datetime) -> None:
    """End an account's sessions and let nobody in by it; twice is no error.

    Raises NotAllowed for one's own account, Conflict where no admin would be left.
    """
    _must_be_another(by, account)
    if not account.active:
        return
    _must_leave_an_admin(session, account)
    account.active = False
    end_sessions(account)
    note(session, by, "switched_off", kind="account", subject=account.id, now=now)


def switch_on(session: Session, by: Doer, account: Account, *, now: datetime) -> None:
    """Let someone in again, as they were; twice is no error."""
    if account.active:
        return
    account.active = True
    end_sessions(account)
    note(session, by, "switched_on", kind="account", subject=account.id, now=now)


def clear_factors(session: Session, by: Doer, account: Account, *, now: datetime) -> None:
    """For whoever lost what they prove themselves by: the password alone opens the door again.

    Raises NotAllowed for one's own account, whose factors are changed on its own page.
    """
    _must_be_another(by, account)
    account.tf_primary_method = account.tf_totp_secret = account.mf_recovery_codes = None
    account.webauthn.clear()
    end_sessions(account)
    note(session, by, "factors_cleared", kind="account", subject=account.id, now=now)


def end_sessions(account: Account) -> None:
    """Sign an account out everywhere: sessions and remember cookies name the one before."""
    account.fs_uniquifier = uuid4().hex


def seen(session: Session, account_id: int, day: date) -> None:
    """Note the day on which someone was last here: no finer, for this is no time clock."""
    session.execute(
        update(Account)
        .where(
            Account.id == account_id,
            or_(Account.last_seen_on.is_(None), Account.last_seen_on < day),
        )
        .values(last_seen_on=day)
    )


def _must_be_another(by: Doer, account: Account) -> None:
    if by.id == account.id:
        raise NotAllowed(OWN_ROLE)


def _must_leave_an_admin(session: Session, account: Account) -> None:
    """The admins are locked: two of them cannot each be the other's last one."""
    if account.role is not RoleName.ADMIN:
        return
    able = session.scalars(
        select(Account.id)
        .where(
            Account.role == RoleName.ADMIN,
            Account.active.is_(True),
            Account.password.is_not(None),
        )
        .order_by(Account.id)
        .with_for_update()
    ).all()
    if set(able) <= {account.id}:
        raise Conflict(LAST_ADMIN)
