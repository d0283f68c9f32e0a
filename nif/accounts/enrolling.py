"""Taking someone on as an editor or an admin."""

from datetime import datetime
from uuid import uuid4

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.models import Account, RoleName
from nif.errors import Conflict, Invalid


def enrol(session: Session, email: str, name: str, role: RoleName, *, now: datetime) -> Account:
    """A new account, without a password until its person sets one by a link.

    Raises Invalid for an address that cannot be one, Conflict for one that is taken.
    """
    try:
        address = validate_email(email, check_deliverability=False).normalized.lower()
    except EmailNotValidError as error:
        raise Invalid({"email": str(error)}) from None
    if session.scalar(select(Account.id).where(Account.email == address)):
        raise Conflict(f"There is an account for {address} already.")
    account = Account(
        email=address, name=name, role=role, fs_uniquifier=uuid4().hex, created_at=now
    )
    session.add(account)
    session.flush()
    return account
