"""Accounts of the people who work at NIF. How they prove who they are is the door's matter."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy.orm import Mapped, mapped_column

from nif.database import Base, BigId


class RoleName(StrEnum):
    EDITOR = "editor"
    ADMIN = "admin"


class Role(NamedTuple):
    """A role as Flask-Security looks at one."""

    name: str
    permissions: frozenset[str] = frozenset()

    def get_permissions(self) -> frozenset[str]:
        return self.permissions


class Account(Base):
    """An editor or an admin. `password` is a hash, or None until the person has set one."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[RoleName]
    password: Mapped[str | None]
    active: Mapped[bool] = mapped_column(default=True)
    fs_uniquifier: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]

    @property
    def roles(self) -> list[Role]:
        """An admin is an editor too."""
        names = [RoleName.EDITOR] if self.role is RoleName.EDITOR else list(RoleName)
        return [Role(name.value) for name in names]

    def may(self, role: RoleName) -> bool:
        return self.active and any(role == held.name for held in self.roles)
