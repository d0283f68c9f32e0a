"""Readers' reports about a story, and the newsroom's answers."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from nif.accounts.models import Account
from nif.database import Base, BigId, get_row
from nif.errors import Conflict, Invalid
from nif.ledger.chain import append_entry
from nif.ledger.models import LedgerEntryKind
from nif.ledger.payloads import PayloadForms
from nif.paging import Page, paginate
from nif.stories.models import Revision, Story


class ReportKind(StrEnum):
    ERROR = "error"
    RELATIONSHIP = "relationship"
    AI = "ai"
    OTHER = "other"


class ReportVerdict(StrEnum):
    UPHELD = "upheld"
    PARTLY = "partly"
    NOT_UPHELD = "not_upheld"
    DUPLICATE = "duplicate"


UPHELD_VERDICTS = frozenset({ReportVerdict.UPHELD, ReportVerdict.PARTLY})
"""Verdicts that lead to a note on the story."""


class ReaderReport(Base):
    """A reader's report. It is open until it has a verdict.

    `n` is the number of the revision that the reader saw. `contact` is the email address for the
    answer, if the reader gave one; it is deleted when the report is answered.
    """

    __tablename__ = "reader_report"
    __table_args__ = (Index("ix_reader_report_verdict", "verdict", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey(Story.id), index=True)
    n: Mapped[int]
    kind: Mapped[ReportKind]
    text: Mapped[str]
    contact: Mapped[str | None]
    at: Mapped[datetime]
    verdict: Mapped[ReportVerdict | None]
    answer: Mapped[str] = mapped_column(default="")
    answered_at: Mapped[datetime | None]
    answered_by_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))

    story: Mapped[Story] = relationship()


def get_reported_headline(session: Session, report: ReaderReport) -> str:
    """The headline of the revision that a report is about, not of a later one or of a draft."""
    reported = (Revision.story_id == report.story_id) & (Revision.n == report.n)
    return session.scalars(select(Revision.headline).where(reported)).one()


def create_reader_report(
    session: Session,
    revision: Revision,
    kind: ReportKind,
    text: str,
    *,
    contact: str | None,
    now: datetime,
) -> ReaderReport:
    """Store a reader's report about a revision.

    The ledger records its number and its kind, but not its text.
    """
    report = ReaderReport(
        story_id=revision.story_id, n=revision.n, kind=kind, text=text, contact=contact, at=now
    )
    session.add(report)
    session.flush()
    _append_report_to_ledger(session, report, "received", now=now)
    return report


def answer_reader_report(
    session: Session,
    report_id: int,
    verdict: ReportVerdict,
    text: str,
    *,
    by: Account,
    now: datetime,
) -> tuple[ReaderReport, str | None]:
    """Answer a report. Returns it and the email address for the answer, if there is one.

    The address is deleted from the report, so that the answer is mailed once. Raises Invalid
    without an answer, Conflict where it was answered already, NotFound for an unknown report.
    """
    report = get_reader_report(session, report_id, lock=True)
    if report.verdict is not None:
        raise Conflict("Someone else has already answered this report.")
    if not text.strip():
        raise Invalid({"answer": "Write an answer for the reader."})
    contact, report.contact = report.contact, None
    report.verdict, report.answer = verdict, text.strip()
    report.answered_at, report.answered_by_id = now, by.id
    session.flush()
    _append_report_to_ledger(session, report, "answered", now=now)
    return report, contact


def _build_form_1(report: ReaderReport) -> dict[str, Any]:
    return {
        "report": report.id,
        "kind": report.kind.value,
        "revision": report.n,
        **({"verdict": report.verdict.value} if report.verdict else {}),
    }


REPORT_FORMS = PayloadForms[ReaderReport]({1: _build_form_1})


def _append_report_to_ledger(
    session: Session, report: ReaderReport, action: str, *, now: datetime
) -> None:
    """Append a report to the ledger, as the last step of the transaction."""
    payload = {"action": action, **REPORT_FORMS.write(report)}
    append_entry(session, LedgerEntryKind.REPORT, payload, story=report.story.ledger_id, now=now)


def get_reader_report(session: Session, report_id: int, *, lock: bool = False) -> ReaderReport:
    """Raises NotFound."""
    return get_row(session, ReaderReport, report_id, "There is no such report.", lock=lock)


def list_reports(
    session: Session, *, answered: bool, after: str | None = None, size: int = 20
) -> Page[tuple[ReaderReport, Story]]:
    """The open reports with their stories, oldest first, or the answered ones, newest first."""
    query = select(ReaderReport, Story).join(Story, Story.id == ReaderReport.story_id)
    query = query.where(
        ReaderReport.verdict.is_not(None) if answered else ReaderReport.verdict.is_(None)
    )
    return paginate(session, query, ReaderReport.id, after=after, size=size, ascending=not answered)
