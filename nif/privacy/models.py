"""What retention deleted, counted."""

from datetime import date

from sqlalchemy import Date
from sqlalchemy.orm import Mapped, mapped_column

from nif.database import Base


class RetentionRun(Base):
    """How many rows of a kind retention deleted or shortened on a day (UTC)."""

    __tablename__ = "retention_run"

    kind: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    count: Mapped[int]
