"""The transparency report: the newsroom's work in numbers, counted from its records.

The numbers are about published stories in their current revision: what readers can see today.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import Text, case, cast, func, select
from sqlalchemy.orm import Session

from nif.ledger.models import LedgerCheckpoint
from nif.ledger.queries import ChainEnd, find_chain_end, find_newest_checkpoint
from nif.register.disclosure_decisions import WaiverCount, count_waivers
from nif.register.models import RelationshipVisibility
from nif.register.relationships import count_relationships
from nif.stories.corrections import StoryNote
from nif.stories.models import ChangeKind, CheckOverride, NoteSeverity, Revision, Story, StoryState
from nif.stories.reader_reports import ReaderReport

UNANSWERED = "unanswered"
"""The key for stories published before the question existed."""

RELATIONSHIP_MARKER = '"kind": "relationship"'
"""How the JSON of a block marks a sentence about a relationship.

No text of a block can contain it, because JSON escapes quotes.
"""

OPEN_VERDICT = "open"
"""The key for reports that have no verdict yet."""

MOST_OVERRIDE_REASONS = 200


@dataclass(frozen=True)
class StoryCounts:
    """Published stories by type and by their answers; `since` is when the first was published."""

    total: int
    since: datetime | None
    by_type: Mapping[str, int]
    by_origin: Mapping[str, int]
    by_ai: Mapping[str, int]
    with_relationship: int


@dataclass(frozen=True)
class OverrideCount:
    """How many stories had a check overridden for the same reason."""

    code: str
    reason: str
    count: int


@dataclass(frozen=True)
class NoteCounts:
    """Corrections by severity, other notes by kind, and how long an error stood (median)."""

    by_severity: Mapping[str, int]
    by_kind: Mapping[str, int]
    median_stood: timedelta | None


@dataclass(frozen=True)
class ReportCounts:
    """Readers' reports by verdict, or as `open`, and the median time to an answer."""

    by_verdict: Mapping[str, int]
    median_answer: timedelta | None


@dataclass(frozen=True)
class TransparencyReport:
    """The whole report. `by_check` counts all overrides, `overrides` the most frequent reasons."""

    stories: StoryCounts
    by_check: Mapping[str, int]
    overrides: Sequence[OverrideCount]
    waivers: Sequence[WaiverCount]
    notes: NoteCounts
    reports: ReportCounts
    ledger_end: ChainEnd | None
    ledger_checkpoint: LedgerCheckpoint | None
    relationships_listed: int
    relationships_withheld: int


def build_transparency_report(session: Session, *, on: date) -> TransparencyReport:
    """Count everything, with a handful of queries. One of them scans all published stories."""
    by_check, overrides = _count_overrides(session)
    published = select(Story.id).where(Story.state == StoryState.PUBLISHED)
    return TransparencyReport(
        stories=_count_stories(session),
        by_check=by_check,
        overrides=overrides,
        waivers=count_waivers(session, stories=published),
        notes=_count_notes(session),
        reports=_count_reports(session),
        ledger_end=find_chain_end(session),
        ledger_checkpoint=find_newest_checkpoint(session),
        relationships_listed=count_relationships(session, RelationshipVisibility.PUBLIC, on=on),
        relationships_withheld=count_relationships(
            session, RelationshipVisibility.MATCH_ONLY, on=on
        ),
    )


def _count_stories(session: Session) -> StoryCounts:
    origin = Revision.answers["origin"]["value"].as_string()
    ai = Revision.answers["ai"]["value"].as_string()
    # On SQLite, LIKE would take longer than the rest of the query.
    position = func.instr if session.get_bind().dialect.name == "sqlite" else func.strpos
    discloses = position(cast(Revision.block, Text), RELATIONSHIP_MARKER) > 0
    facts = (
        select(
            Revision.story_type.label("type"),
            func.coalesce(origin, UNANSWERED).label("origin"),
            func.coalesce(ai, UNANSWERED).label("ai"),
            case((discloses, 1), else_=0).label("discloses"),
            Story.first_published_at.label("at"),
        )
        .join(Story, Story.current_id == Revision.id)
        .where(Story.state == StoryState.PUBLISHED)
        .subquery()
    )
    keys = (facts.c.type, facts.c.origin, facts.c.ai, facts.c.discloses)
    rows = session.execute(select(*keys, func.count(), func.min(facts.c.at)).group_by(*keys)).all()
    return StoryCounts(
        total=sum(row[4] for row in rows),
        since=min((row[5] for row in rows), default=None),
        by_type=_sum_by_name((row[0].value, row[4]) for row in rows),
        by_origin=_sum_by_name((row[1], row[4]) for row in rows),
        by_ai=_sum_by_name((row[2], row[4]) for row in rows),
        with_relationship=sum(row[4] for row in rows if row[3]),
    )


def _count_overrides(session: Session) -> tuple[Mapping[str, int], Sequence[OverrideCount]]:
    """Overrides in published stories: by check, and by reason, the most frequent first."""
    query = (
        select(CheckOverride.code, CheckOverride.reason, func.count().label("count"))
        .join(Story, Story.id == CheckOverride.story_id)
        .where(Story.state == StoryState.PUBLISHED)
        .group_by(CheckOverride.code, CheckOverride.reason)
    )
    counts = [OverrideCount(*row) for row in session.execute(query)]
    counts.sort(key=lambda each: (-each.count, each.code, each.reason))
    return _sum_by_name((each.code, each.count) for each in counts), counts[:MOST_OVERRIDE_REASONS]


def _count_notes(session: Session) -> NoteCounts:
    """An error stood from the first revision that had it until the correction."""
    query = select(StoryNote.kind, StoryNote.severity, StoryNote.at, Revision.published_at).join(
        Revision,
        (Revision.story_id == StoryNote.story_id) & (Revision.n == StoryNote.first_wrong_n),
    )
    rows = session.execute(query).all()
    corrections = [row for row in rows if row.kind is ChangeKind.CORRECTION]
    severities = Counter(row.severity.value for row in corrections)
    return NoteCounts(
        by_severity={severity.value: severities[severity.value] for severity in NoteSeverity},
        by_kind=_sum_by_name(
            (row.kind.value, 1) for row in rows if row.kind is not ChangeKind.CORRECTION
        ),
        median_stood=_median([row.at - row.published_at for row in corrections]),
    )


def _count_reports(session: Session) -> ReportCounts:
    query = select(ReaderReport.verdict, ReaderReport.at, ReaderReport.answered_at)
    rows = session.execute(query).all()
    answered = [row.answered_at - row.at for row in rows if row.answered_at]
    by_verdict = _sum_by_name(
        (row.verdict.value if row.verdict else OPEN_VERDICT, 1) for row in rows
    )
    return ReportCounts(by_verdict, _median(answered))


def _sum_by_name(pairs: Any) -> dict[str, int]:
    """The sums by name, largest first."""
    counts: Counter[str] = Counter()
    for name, count in pairs:
        counts[name] += count
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _median(spans: Sequence[timedelta]) -> timedelta | None:
    """The median; None for an empty sequence, because unknown is not zero."""
    if not spans:
        return None
    return timedelta(seconds=median(span.total_seconds() for span in spans))
