"""Accounts of the staff. How they sign in is the web's matter."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.ext.mutable import MutableList
from sqlalchemy.orm import Mapped, mapped_column, relationship

from nif.database import Base, BigId, Json


class RoleName(StrEnum):
    """Each role may do everything that the roles before it may."""

    AUTHOR = "author"
    EDITOR = "editor"
    STANDARDS = "standards"
    ADMIN = "admin"


ROLE_RANKS = list(RoleName)
ROLE_LABELS = {
    RoleName.AUTHOR: "Author",
    RoleName.EDITOR: "Editor",
    RoleName.STANDARDS: "Standards editor",
    RoleName.ADMIN: "Admin",
}


class AccountState(StrEnum):
    """An account is `INVITED` until its person sets the first password."""

    INVITED = "invited"
    ACTIVE = "active"
    DEACTIVATED = "deactivated"


class SecurityRole(NamedTuple):
    """A role in the form that Flask-Security expects."""

    name: str
    permissions: frozenset[str] = frozenset()

    def get_permissions(self) -> frozenset[str]:
        return self.permissions


class Account(Base):
    """A person on the staff. `password` is a hash, or None until the person has set one.

    Sessions and remember cookies name the account by its `fs_uniquifier`: a new one ends them all.
    The fields of the second factors have the names that Flask-Security expects.
    """

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[RoleName]
    password: Mapped[str | None]
    active: Mapped[bool] = mapped_column(default=True)
    fs_uniquifier: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    invited_at: Mapped[datetime | None]
    last_seen_on: Mapped[date | None]

    tf_primary_method: Mapped[str | None]
    tf_totp_secret: Mapped[str | None]
    totp_counter: Mapped[int | None]
    mf_recovery_codes: Mapped[list[Any] | None] = mapped_column(MutableList.as_mutable(Json.copy()))
    fs_webauthn_user_handle: Mapped[str | None] = mapped_column(unique=True, index=True)

    webauthn: Mapped[list["Passkey"]] = relationship(
        order_by="Passkey.id", cascade="all, delete-orphan"
    )

    @property
    def roles(self) -> list[SecurityRole]:
        """The account's own role, and all below it."""
        return [SecurityRole(name.value) for name in ROLE_RANKS[: ROLE_RANKS.index(self.role) + 1]]

    @property
    def state(self) -> AccountState:
        if not self.active:
            return AccountState.DEACTIVATED
        return AccountState.INVITED if self.password is None else AccountState.ACTIVE

    @property
    def has_second_factor(self) -> bool:
        return self.has_authenticator or bool(self.webauthn)

    @property
    def has_authenticator(self) -> bool:
        return bool(self.tf_primary_method and self.tf_totp_secret)

    def may(self, role: RoleName) -> bool:
        return self.active and ROLE_RANKS.index(self.role) >= ROLE_RANKS.index(RoleName(role))


class PasskeyUsage(str):
    """The use of a passkey: ours serve after a password as well as without one.

    Flask-Security tests whether a passkey's use is among those that it looks for.
    """

    __slots__ = ()
    USES = frozenset({"first", "secondary"})

    def __eq__(self, other: object) -> bool:
        return other in self.USES

    __hash__ = str.__hash__


class Passkey(Base):
    """A credential that a browser or security key made for an account (WebAuthn level 2)."""

    __tablename__ = "passkey"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id), index=True)
    name: Mapped[str]
    credential_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int]
    transports: Mapped[list[Any] | None]
    backup_state: Mapped[bool]
    device_type: Mapped[str]
    extensions: Mapped[str | None]
    lastuse_datetime: Mapped[datetime]

    @property
    def usage(self) -> str:
        return PasskeyUsage("secondary")

    @usage.setter
    def usage(self, _value: str) -> None:
        """Flask-Security sets it; every passkey keeps the same use."""

    def get_user_mapping(self) -> dict[str, int]:
        """How Flask-Security looks up the account."""
        return {"id": self.account_id}


class Profile(Base):
    """What readers see about a person, if the person chooses so (`is_public`).

    The slug is assigned when the profile becomes public for the first time, and stays.
    """

    __tablename__ = "profile"

    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id), primary_key=True)
    slug: Mapped[str | None] = mapped_column(unique=True)
    is_public: Mapped[bool] = mapped_column(default=False)
    job_title: Mapped[str] = mapped_column(default="")
    bio: Mapped[str] = mapped_column(default="")
    contact: Mapped[str] = mapped_column(default="")
    location: Mapped[str] = mapped_column(default="")
    languages: Mapped[str] = mapped_column(default="")
    expertise: Mapped[str] = mapped_column(default="")
