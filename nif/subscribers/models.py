"""Saved segments, and how far the search by parts of addresses has come."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from nif.database import Base, BigId


class Segment(Base):
    """Conditions under a name. `size` is what was counted at `counted_at`, not what is now."""

    __tablename__ = "segment"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    conditions: Mapped[dict[str, Any]]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    size: Mapped[int | None]
    counted_at: Mapped[datetime | None]


class AddressIndexMark(Base):
    """The one row that says up to which subscriber's id the search has been filled."""

    __tablename__ = "address_index_mark"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    indexed_through_id: Mapped[int] = mapped_column(BigInteger)
