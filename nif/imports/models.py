"""An import run: the file, how it is read, how far it has come, and what it changed."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from nif.accounts.models import Account
from nif.claims import WorkRow
from nif.database import Base, BigId
from nif.subscriptions.models import MailingList, SubscriptionState


class ImportState(StrEnum):
    """DRY_RUNNING, RUNNING and UNDOING are worked on by a worker.

    The other states wait for a person or are final.
    """

    UPLOADED = "uploaded"
    DRY_RUNNING = "dry_running"
    DRY_RUN_DONE = "dry_run_done"
    RUNNING = "running"
    STOPPED = "stopped"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"
    FAILED = "failed"


WORKER_STATES = (ImportState.DRY_RUNNING, ImportState.RUNNING, ImportState.UNDOING)


class RowOutcome(StrEnum):
    """What happens to a row. Each row has exactly one, so the counts add up to the rows read."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"
    INVALID = "invalid"


class ImportRun(WorkRow, Base):
    """The import of one file into one list.

    `outcome_counts` counts rows by RowOutcome, `dry_run_counts` is what the last dry run counted,
    `problem_counts` counts rejected rows by problem code, and `undo_counts` counts subscribers
    `undone` and `kept` by undoing. `byte_offset` is where the next row starts and `lines_read` is
    the number of lines before it; both are committed together with the rows before them.
    `undone_through_id` is the last subscriber id that undoing has handled. The run is due in the
    states that a worker works on.
    """

    __tablename__ = "import_run"
    __table_args__ = (Index(None, "list_id", "id"), Index(None, "state"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id))
    account_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))
    file_name: Mapped[str]
    stored_name: Mapped[str | None]
    size: Mapped[int] = mapped_column(BigInteger)
    encoding: Mapped[str]
    separator: Mapped[str]
    has_header: Mapped[bool]
    columns: Mapped[dict[str, Any]]
    consent_source: Mapped[str]
    confirmed_elsewhere: Mapped[bool]
    state: Mapped[ImportState]
    byte_offset: Mapped[int] = mapped_column(BigInteger)
    lines_read: Mapped[int]
    undone_through_id: Mapped[int] = mapped_column(BigInteger)
    outcome_counts: Mapped[dict[str, Any]]
    dry_run_counts: Mapped[dict[str, Any]]
    undo_counts: Mapped[dict[str, Any]]
    problem_counts: Mapped[dict[str, Any]]
    worked_seconds: Mapped[float]
    failure_reason: Mapped[str | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    mailing_list: Mapped[MailingList] = relationship()

    @property
    def rows_read(self) -> int:
        return sum(self.outcome_counts.values())

    @property
    def source(self) -> str:
        """The source that consents and suppressions written by this run carry."""
        return f"import:{self.id}"


class ImportedSubscription(Base):
    """What a run changed for one subscriber: everything that undoing needs."""

    __tablename__ = "imported_subscription"
    __table_args__ = ({"sqlite_with_rowid": False},)

    # No foreign keys, as for deliveries: they would cost a million checks, and erasing a
    # subscriber or deleting one by undoing must not need the run.
    import_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    created_subscriber: Mapped[bool]
    state_before: Mapped[SubscriptionState | None]
    state_after: Mapped[SubscriptionState]


class ImportProblem(Base):
    """A rejected row and the reason. `cell` is the text of its address cell, shortened."""

    __tablename__ = "import_problem"

    import_id: Mapped[int] = mapped_column(ForeignKey(ImportRun.id), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    code: Mapped[str]
    cell: Mapped[str]
