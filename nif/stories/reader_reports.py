"""What readers report about a story, and what they are answered."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, Select, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from nif.accounts.models import Account
from nif.database import Base, BigId
from nif.errors import Conflict, Invalid, NotFound
from nif.ledger.chain import append_entry
from nif.ledger.forms import PayloadForms
from nif.ledger.models import LedgerEntryKind
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
"""Reports that were right, and become notes."""


class ReaderReport(Base):
    """A report is open until it has a verdict. `n` is the version that its reader saw.

    `contact` is an address to answer to, if one was given; it is forgotten once it is used.
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
    """The headline of the version that a report is about: no reader saw a later draft."""
    of_it = (Revision.story_id == report.story_id) & (Revision.n == report.n)
    return session.scalars(select(Revision.headline).where(of_it)).one()


def create_reader_report(
    session: Session,
    revision: Revision,
    kind: ReportKind,
    text: str,
    *,
    contact: str | None,
    now: datetime,
) -> ReaderReport:
    """Write down what a reader reports about the story as they saw it.

    The ledger says that there was a report, of which kind and the how manieth; no word of it.
    """
    made = ReaderReport(
        story_id=revision.story_id, n=revision.n, kind=kind, text=text, contact=contact, at=now
    )
    session.add(made)
    session.flush()
    _append_report_to_ledger(session, made, "received", now=now)
    return made


def answer_reader_report(
    session: Session,
    report_id: int,
    verdict: ReportVerdict,
    text: str,
    *,
    by: Account,
    now: datetime,
) -> tuple[ReaderReport, str | None]:
    """Decide about a report; returns it, and the address that the answer is to go to, if any.

    The address is forgotten here, so that it is answered once. Raises Invalid without an answer,
    Conflict where someone else has answered.
    """
    found = get_reader_report(session, report_id, lock=True)
    if found.verdict is not None:
        raise Conflict("Someone else has answered this report meanwhile.")
    if not text.strip():
        raise Invalid({"answer": "Write what the reader is told."})
    contact, found.contact = found.contact, None
    found.verdict, found.answer = verdict, text.strip()
    found.answered_at, found.answered_by_id = now, by.id
    session.flush()
    _append_report_to_ledger(session, found, "answered", now=now)
    return found, contact


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
    """Append it to the ledger, as the last thing in its transaction."""
    payload = {"action": action, **REPORT_FORMS.write(report)}
    append_entry(session, LedgerEntryKind.REPORT, payload, story=report.story.ledger_id, now=now)


def get_reader_report(session: Session, report_id: int, *, lock: bool = False) -> ReaderReport:
    """Raises NotFound."""
    found = session.get(
        ReaderReport, report_id, with_for_update={"of": ReaderReport} if lock else None
    )
    if found is None:
        raise NotFound("There is no such report.")
    return found


def list_open_reports(
    session: Session, *, after: int = 0, size: int = 20
) -> Sequence[tuple[ReaderReport, Story]]:
    """Reports that wait for an answer, the oldest first: those behind `after`."""
    query = _select_reports_with_story().where(
        ReaderReport.verdict.is_(None), ReaderReport.id > after
    )
    found = session.execute(query.order_by(ReaderReport.id).limit(size))
    return [(report, story) for report, story in found]


def list_answered_reports(
    session: Session, *, before: int = 2**62, size: int = 20
) -> Sequence[tuple[ReaderReport, Story]]:
    """Reports that were answered, the newest first: those with an id below `before`."""
    query = _select_reports_with_story().where(
        ReaderReport.verdict.is_not(None), ReaderReport.id < before
    )
    found = session.execute(query.order_by(ReaderReport.id.desc()).limit(size))
    return [(report, story) for report, story in found]


def _select_reports_with_story() -> Select[*tuple[ReaderReport, Story]]:
    return select(ReaderReport, Story).join(Story, Story.id == ReaderReport.story_id)
