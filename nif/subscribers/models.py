"""Saved segments, and how far the address index has been filled."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from nif.database import Base, BigId


class Segment(Base):
    """Conditions saved under a name. `size` is the count at `counted_at`, not the current one."""

    __tablename__ = "segment"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    conditions: Mapped[dict[str, Any]]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    size: Mapped[int | None]
    counted_at: Mapped[datetime | None]


class AddressIndexMark(Base):
    """The single row that records up to which subscriber id the address index is filled."""

    __tablename__ = "address_index_mark"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    indexed_through_id: Mapped[int] = mapped_column(BigInteger)
