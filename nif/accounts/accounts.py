"""Accounts: inviting people, changing roles, deactivating accounts; and their public profiles.

Accounts are never deleted, because bylines and audit entries refer to them. An invitation is a link
by email, valid for three days and for one password.

A profile is what readers see about a person who writes: nothing, until the person chooses so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

from sqlalchemy import Select, or_, select, update
from sqlalchemy.orm import Session, selectinload

from nif.accounts.audit_log import Actor, describe_change, record_audit_entry
from nif.accounts.models import Account, AccountState, Profile, RoleName
from nif.database import get_first, get_row
from nif.errors import Conflict, Expired, Invalid, NotAllowed, NotFound
from nif.mail.addresses import parse_address
from nif.slugs import find_free_slug
from nif.tokens import UNKNOWN_LINK, TokenPurpose, Tokens

OWN_ACCOUNT_REFUSED = "You cannot change your own access. Ask another admin."
LAST_ADMIN_REFUSED = "This is the last admin who can sign in. Make someone else an admin first."
INVITATION_EXPIRED = "Invitations are valid for three days. Ask an admin for a new one."
INVITATION_LIFETIME = timedelta(days=3)
MAX_NAME_LENGTH = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MAX_PROFILE_LENGTHS = {
    "job_title": 100,
    "bio": 2000,
    "contact": 200,
    "location": 100,
    "languages": 200,
    "expertise": 300,
}


def list_accounts(session: Session) -> Sequence[Account]:
    """All accounts by name, with their passkeys. A newsroom has dozens."""
    query = select(Account).options(selectinload(Account.webauthn))
    return session.scalars(query.order_by(Account.name, Account.id)).all()


def get_account(session: Session, account_id: int) -> Account:
    """Raises NotFound."""
    return get_row(session, Account, account_id, "There is no such account.")


def create_account(
    session: Session, email: str, name: str, role: RoleName, *, now: datetime
) -> Account:
    """A new account, without a password until its person sets one by a link.

    Raises Invalid for an invalid address and for one that is taken.
    """
    address = parse_address(email).canonical
    if session.scalar(select(Account.id).where(Account.email == address)):
        raise Invalid({"email": f"There is already an account for {address}."})
    account = Account(
        email=address, name=name, role=role, fs_uniquifier=uuid4().hex, created_at=now
    )
    session.add(account)
    session.flush()
    return account


def check_account_name(name: str) -> None:
    """Raises Invalid for a name that cannot be printed in a byline."""
    if not name.strip():
        raise Invalid({"name": "Enter the name as it should appear in bylines."})
    if len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise Invalid({"name": f"A name is one line of at most {MAX_NAME_LENGTH} characters."})


def invite_colleague(
    session: Session, by: Actor, email: str, name: str, role: RoleName, *, now: datetime
) -> Account:
    """A new account that waits for its person to accept. Raises Invalid."""
    check_account_name(name)
    account = create_account(session, email, name, role, now=now)
    account.invited_at = now
    detail = {"role": role.value, "name": name}
    record_audit_entry(session, by, "invited", "account", account.id, detail=detail, now=now)
    return account


def renew_invitation(session: Session, by: Actor, account: Account, *, now: datetime) -> None:
    """Make a new link for the same person; older links stop working.

    Raises Conflict where a password was set already.
    """
    _check_not_accepted(account)
    account.active, account.invited_at = True, now
    record_audit_entry(session, by, "invitation_renewed", "account", account.id, now=now)


def withdraw_invitation(session: Session, by: Actor, account: Account, *, now: datetime) -> None:
    """Make the invitation void. Raises Conflict where it was accepted."""
    _check_not_accepted(account)
    account.active, account.invited_at = False, None
    end_account_sessions(account)
    record_audit_entry(session, by, "invitation_withdrawn", "account", account.id, now=now)


def make_invitation_token(account: Account, tokens: Tokens) -> str:
    """The token of the link in the email: the account, and which of its invitations."""
    return tokens.make(TokenPurpose.INVITATION, account.id, _invitation_microseconds(account))


def get_invited_account(
    session: Session, token: str, tokens: Tokens, *, now: datetime, lock: bool = False
) -> Account:
    """The account that a link opens.

    Raises NotFound for a link that NIF never made, and Expired, with the same sentence, for one
    that is too old, was used or withdrawn, or was replaced by a newer one.
    """
    account_id, moment = tokens.open(TokenPurpose.INVITATION, token)
    query = select(Account).where(Account.id == account_id)
    account = get_first(session, query.with_for_update() if lock else query, UNKNOWN_LINK)
    if (
        account.state is not AccountState.INVITED
        or account.invited_at is None
        or _invitation_microseconds(account) != moment
        or now - account.invited_at > INVITATION_LIFETIME
    ):
        raise Expired(INVITATION_EXPIRED)
    return account


def accept_invitation(
    session: Session, account: Account, password_hash: str, *, now: datetime
) -> None:
    """Set the first password; this uses up the link."""
    account.password, account.invited_at = password_hash, None
    end_account_sessions(account)
    record_audit_entry(session, account, "invitation_accepted", "account", account.id, now=now)


def change_account_role(
    session: Session, by: Actor, account: Account, role: RoleName, *, now: datetime
) -> None:
    """Give an account another role and end its sessions; the same role changes nothing.

    Raises NotAllowed for one's own role, Conflict where no admin would remain.
    """
    _check_not_own_account(by, account)
    if account.role is role:
        return
    if role is not RoleName.ADMIN:
        _check_leaves_an_admin(session, account)
    detail = {"role": describe_change(account.role.value, role.value)}
    account.role = role
    end_account_sessions(account)
    record_audit_entry(session, by, "role_changed", "account", account.id, detail=detail, now=now)


def deactivate_account(session: Session, by: Actor, account: Account, *, now: datetime) -> None:
    """End an account's sessions and refuse its sign-ins; doing it twice is no error.

    Raises NotAllowed for one's own account, Conflict where no admin would remain.
    """
    _check_not_own_account(by, account)
    if not account.active:
        return
    _check_leaves_an_admin(session, account)
    account.active = False
    end_account_sessions(account)
    record_audit_entry(session, by, "account_deactivated", "account", account.id, now=now)


def reactivate_account(session: Session, by: Actor, account: Account, *, now: datetime) -> None:
    """Allow an account to sign in again; doing it twice is no error."""
    if account.active:
        return
    account.active = True
    end_account_sessions(account)
    record_audit_entry(session, by, "account_reactivated", "account", account.id, now=now)


def clear_second_factors(session: Session, by: Actor, account: Account, *, now: datetime) -> None:
    """Remove all second factors, for a person who lost theirs: the password alone then suffices.

    Raises NotAllowed for one's own account, whose factors are changed on its own page.
    """
    _check_not_own_account(by, account)
    account.tf_primary_method = account.tf_totp_secret = account.mf_recovery_codes = None
    account.webauthn.clear()
    end_account_sessions(account)
    record_audit_entry(session, by, "second_factors_cleared", "account", account.id, now=now)


def end_account_sessions(account: Account) -> None:
    """Sign an account out everywhere: sessions and remember cookies hold the old value."""
    account.fs_uniquifier = uuid4().hex


def record_last_seen(session: Session, account_id: int, day: date) -> None:
    """Record the day on which a person was last here; no time, for this is no time clock."""
    is_earlier = or_(Account.last_seen_on.is_(None), Account.last_seen_on < day)
    account = update(Account).where(Account.id == account_id, is_earlier)
    session.execute(account.values(last_seen_on=day))


def _check_not_own_account(by: Actor, account: Account) -> None:
    if by.id == account.id:
        raise NotAllowed(OWN_ACCOUNT_REFUSED)


def _check_leaves_an_admin(session: Session, account: Account) -> None:
    """Locks the admins, so that two of them cannot remove each other at once."""
    if account.role is not RoleName.ADMIN:
        return
    able = select(Account.id).where(
        Account.role == RoleName.ADMIN, Account.active.is_(True), Account.password.is_not(None)
    )
    able_ids = session.scalars(able.order_by(Account.id).with_for_update()).all()
    if set(able_ids) <= {account.id}:
        raise Conflict(LAST_ADMIN_REFUSED)


def _check_not_accepted(account: Account) -> None:
    if account.password is not None:
        raise Conflict(f"{account.name} has already accepted the invitation.")


def _invitation_microseconds(account: Account) -> int:
    """When the invitation was made, in microseconds: unique for each invitation."""
    return ((account.invited_at or _EPOCH) - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True)
class ProfileInput:
    """A profile as its person enters it."""

    name: str
    is_public: bool = False
    job_title: str = ""
    bio: str = ""
    contact: str = ""
    location: str = ""
    languages: str = ""
    expertise: str = ""


def save_profile(session: Session, account: Account, values: ProfileInput) -> Profile:
    """Set an account's name and its profile; the first public one gets a slug, and keeps it.

    Raises Invalid, with a sentence for each wrong field.
    """
    problems = {
        name: f"At most {most:,} characters; these are {len(getattr(values, name)):,}."
        for name, most in MAX_PROFILE_LENGTHS.items()
        if len(getattr(values, name)) > most
    }
    try:
        check_account_name(values.name)
    except Invalid as error:
        problems |= error.problems
    if problems:
        raise Invalid(problems)
    account.name = values.name
    profile = session.get(Profile, account.id)
    if profile is None:
        profile = Profile(account_id=account.id)
        session.add(profile)
    for name in MAX_PROFILE_LENGTHS:
        setattr(profile, name, getattr(values, name))
    profile.is_public = values.is_public
    if values.is_public and profile.slug is None:
        profile.slug = find_free_slug(session, Profile.slug, values.name)
    session.flush()
    return profile


def get_public_profile(session: Session, slug: str) -> tuple[Profile, str]:
    """A public profile and the person's name. Raises NotFound."""
    row = session.execute(_select_public_profiles().where(Profile.slug == slug)).first()
    if row is None:
        raise NotFound("There is nobody at this address.")
    return row[0], row[1]


def list_public_profiles(session: Session) -> Sequence[tuple[Profile, str]]:
    """The public profiles of all active accounts, with their names, by name."""
    query = _select_public_profiles().where(Account.active.is_(True))
    rows = session.execute(query.order_by(Account.name, Account.id))
    return [(row[0], row[1]) for row in rows]


def _select_public_profiles() -> Select[Profile, str]:
    query = select(Profile, Account.name).join(Account, Account.id == Profile.account_id)
    return query.where(Profile.is_public.is_(True))
