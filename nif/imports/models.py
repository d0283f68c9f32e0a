"""An import: the file, what was chosen, how far it is, and what it did to whom."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from nif.accounts.models import Account
from nif.database import Base, BigId
from nif.subscriptions.models import MailingList, SubscriptionState


class ImportState(StrEnum):
    """CHECKING, RUNNING and UNDOING are for a worker; all others wait for a person, or are ends."""

    READ = "read"
    CHECKING = "checking"
    CHECKED = "checked"
    RUNNING = "running"
    STOPPED = "stopped"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"
    FAILED = "failed"


WORKER_STATES = (ImportState.CHECKING, ImportState.RUNNING, ImportState.UNDOING)


class RowOutcome(StrEnum):
    """What becomes of a row. Each row has one, so that the counts add up to the rows."""

    NEW = "new"
    CHANGED = "changed"
    THERE = "there"
    OFF = "off"
    LEFT = "left"
    SUPPRESSED = "suppressed"
    INVALID = "invalid"


class ImportRun(Base):
    """One file on its way into one list.

    `counts` holds how many rows there were of each verdict, `expected` the same of the last check,
    `reasons` how many problems of each kind. `position` is in bytes, `line` the last line that was
    read; both move in the transaction that writes what stood before them. `cursor` is how far
    undoing is. A worker holds the run as `holder` while `beaten_at` is fresh; `worked` is in
    seconds.
    """

    __tablename__ = "import_run"
    __table_args__ = (Index(None, "list_id", "id"), Index(None, "state"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id))
    account_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))
    file_name: Mapped[str]
    stored: Mapped[str | None]
    size: Mapped[int] = mapped_column(BigInteger)
    encoding: Mapped[str]
    separator: Mapped[str]
    has_header: Mapped[bool]
    columns: Mapped[dict[str, Any]]
    basis: Mapped[str]
    confirmed: Mapped[bool]
    state: Mapped[ImportState]
    position: Mapped[int] = mapped_column(BigInteger)
    line: Mapped[int]
    cursor: Mapped[int] = mapped_column(BigInteger)
    counts: Mapped[dict[str, Any]]
    expected: Mapped[dict[str, Any]]
    reasons: Mapped[dict[str, Any]]
    worked: Mapped[float]
    trouble: Mapped[str | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    holder: Mapped[str | None]
    beaten_at: Mapped[datetime | None]

    mailing_list: Mapped[MailingList] = relationship()

    @property
    def rows(self) -> int:
        """How many rows were read so far."""
        return sum(self.counts.values())

    @property
    def source(self) -> str:
        """What consents and suppressions name as where they come from."""
        return f"import:{self.id}"


class ImportedSubscription(Base):
    """What a run did to one subscriber: all that undoing needs. `made` says that it made them."""

    __tablename__ = "import_row"
    __table_args__ = ({"sqlite_with_rowid": False},)

    # No foreign keys, as in a send's deliveries: a million checks, and the run outlives people.
    run_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    made: Mapped[bool]
    before: Mapped[SubscriptionState | None]
    after: Mapped[SubscriptionState]


class ImportProblem(Base):
    """A row that was not taken, and why. `cell` is what stood there, shortened."""

    __tablename__ = "import_problem"

    run_id: Mapped[int] = mapped_column(ForeignKey(ImportRun.id), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    code: Mapped[str]
    cell: Mapped[str]
