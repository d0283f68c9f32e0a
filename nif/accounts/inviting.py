"""Inviting someone: a link by mail, good for three days and for one password."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.auditing import Doer, note
from nif.accounts.enrolling import enrol
from nif.accounts.managing import end_sessions
from nif.accounts.models import Account, AccountState, RoleName
from nif.errors import Conflict, Expired, Invalid, NotFound
from nif.tokens import NOT_OURS, Purpose, Tokens

GOOD_FOR = timedelta(days=3)
LONGEST_NAME = 100
TOO_OLD = "Invitations are good for three days. Ask for a new one: it takes an admin one press."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def invite(
    session: Session, by: Doer, email: str, name: str, role: RoleName, *, now: datetime
) -> Account:
    """A new account that waits for its person.

    Raises Invalid for a name or an address that cannot be one, Conflict for one that is taken.
    """
    check_name(name)
    account = enrol(session, email, name, role, now=now)
    account.invited_at = now
    detail = {"role": role.value, "name": name}
    note(session, by, "invited", kind="account", subject=account.id, detail=detail, now=now)
    return account


def invite_again(session: Session, by: Doer, account: Account, *, now: datetime) -> None:
    """A new link for the same person; the ones before stop working.

    Raises Conflict where a password was set already.
    """
    _must_be_waiting(account)
    account.active, account.invited_at = True, now
    note(session, by, "invited_again", kind="account", subject=account.id, now=now)


def withdraw(session: Session, by: Doer, account: Account, *, now: datetime) -> None:
    """Nobody can accept this invitation any more. Raises Conflict where someone has."""
    _must_be_waiting(account)
    account.active, account.invited_at = False, None
    end_sessions(account)
    note(session, by, "invitation_withdrawn", kind="account", subject=account.id, now=now)


def token_for(account: Account, tokens: Tokens) -> str:
    """What the link in the letter carries: whose invitation, and which one."""
    return tokens.make(Purpose.INVITATION, account.id, _moment(account))


def get_invited(
    session: Session, token: str, tokens: Tokens, *, now: datetime, lock: bool = False
) -> Account:
    """The account that a link opens.

    Raises NotFound for a link that we never gave out, and Expired for one that is too old, was
    used, was withdrawn or was followed by a newer one: the same sentence for all of these.
    """
    account_id, moment = tokens.open(Purpose.INVITATION, token)
    query = select(Account).where(Account.id == account_id)
    account = session.scalar(query.with_for_update() if lock else query)
    if account is None:
        raise NotFound(NOT_OURS)
    waits = account.state is AccountState.INVITED and account.invited_at is not None
    if not waits or _moment(account) != moment or now - _of(moment) > GOOD_FOR:
        raise Expired(TOO_OLD)
    return account


def accept(session: Session, account: Account, password_hash: str, *, now: datetime) -> None:
    """Set the first password; the link is used up by it."""
    account.password, account.invited_at = password_hash, None
    end_sessions(account)
    note(session, account, "invitation_accepted", kind="account", subject=account.id, now=now)


def check_name(name: str) -> None:
    """Raises Invalid for a name that cannot stand in a byline."""
    if not name.strip():
        raise Invalid({"name": "Give the name as it should stand in bylines."})
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise Invalid({"name": f"A name is one line of at most {LONGEST_NAME} characters."})


def _must_be_waiting(account: Account) -> None:
    if account.password is not None:
        raise Conflict(f"{account.name} has accepted the invitation already.")


def _moment(account: Account) -> int:
    """When the invitation was made, in microseconds: each has its own."""
    if account.invited_at is None:
        return 0
    return (account.invited_at - _EPOCH) // timedelta(microseconds=1)


def _of(moment: int) -> datetime:
    return _EPOCH + timedelta(microseconds=moment)
