"""What the newsroom did, counted from its records: for the report that everybody can read.

Each number is over what readers can see today: published stories, as they are now.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import Text, case, cast, func, select
from sqlalchemy.orm import Session

from nif.ledger.models import Checkpoint
from nif.ledger.reading import End, find_checkpoint, find_end
from nif.register.deciding import Waived, waivers_in_public
from nif.register.reading import listed, withheld
from nif.stories.kinds import ChangeKind, Severity
from nif.stories.models import Override, Revision, Story, StoryState
from nif.stories.notes import Note
from nif.stories.reporting import ReaderReport

UNANSWERED = "unanswered"
"""Of stories from before a question was asked."""

TOLD = '"kind": "relationship"'
"""How a sentence about one stands in a block. Its words cannot look so: quotes are escaped."""

OPEN = "open"
MOST_REASONS = 200


@dataclass(frozen=True)
class Stories:
    """How many stories there are, by what was answered; `since` is when the first was published."""

    total: int
    since: datetime | None
    by_type: Mapping[str, int]
    by_origin: Mapping[str, int]
    by_ai: Mapping[str, int]
    with_relationship: int


@dataclass(frozen=True)
class Overridden:
    """Stories in which a gate was passed by decision for the same reason."""

    code: str
    reason: str
    count: int


@dataclass(frozen=True)
class Notes:
    """Corrections by severity, the other notes by kind; how long an error stood, in the middle."""

    by_severity: Mapping[str, int]
    by_kind: Mapping[str, int]
    median_stood: timedelta | None


@dataclass(frozen=True)
class Reports:
    """Reports of readers by their verdict, those that wait as `open`; how long an answer took."""

    by_verdict: Mapping[str, int]
    median_answer: timedelta | None


@dataclass(frozen=True)
class Tally:
    """The whole report. `overrides` are the most frequent reasons, `by_gate` all by their code."""

    stories: Stories
    by_gate: Mapping[str, int]
    overrides: Sequence[Overridden]
    waivers: Sequence[Waived]
    notes: Notes
    reports: Reports
    end: End | None
    checkpoint: Checkpoint | None
    listed: int
    withheld: int


def tally(session: Session, *, on: date) -> Tally:
    """Count everything: a handful of queries, of which one passes over the published stories."""
    by_gate, overrides = _overrides(session)
    published = select(Story.id).where(Story.state == StoryState.PUBLISHED)
    return Tally(
        stories=_stories(session),
        by_gate=by_gate,
        overrides=overrides,
        waivers=waivers_in_public(session, stories=published),
        notes=_notes(session),
        reports=_reports(session),
        end=find_end(session),
        checkpoint=find_checkpoint(session),
        listed=listed(session, on=on),
        withheld=withheld(session, on=on),
    )


def _stories(session: Session) -> Stories:
    origin = Revision.answers["origin"]["value"].as_string()
    ai = Revision.answers["ai"]["value"].as_string()
    # LIKE would take longer than all the rest on SQLite.
    find = func.instr if session.get_bind().dialect.name == "sqlite" else func.strpos
    tells = find(cast(Revision.block, Text), TOLD) > 0
    facts = (
        select(
            Revision.story_type.label("type"),
            func.coalesce(origin, UNANSWERED).label("origin"),
            func.coalesce(ai, UNANSWERED).label("ai"),
            case((tells, 1), else_=0).label("tells"),
            Story.first_published_at.label("at"),
        )
        .join(Story, Story.current_id == Revision.id)
        .where(Story.state == StoryState.PUBLISHED)
        .subquery()
    )
    keys = (facts.c.type, facts.c.origin, facts.c.ai, facts.c.tells)
    rows = session.execute(select(*keys, func.count(), func.min(facts.c.at)).group_by(*keys)).all()
    return Stories(
        total=sum(row[4] for row in rows),
        since=min((row[5] for row in rows), default=None),
        by_type=_summed((row[0].value, row[4]) for row in rows),
        by_origin=_summed((row[1], row[4]) for row in rows),
        by_ai=_summed((row[2], row[4]) for row in rows),
        with_relationship=sum(row[4] for row in rows if row[3]),
    )


def _overrides(session: Session) -> tuple[Mapping[str, int], Sequence[Overridden]]:
    """Those of published stories: by gate, and by reason, the most frequent first."""
    query = (
        select(Override.code, Override.reason, func.count().label("count"))
        .join(Story, Story.id == Override.story_id)
        .where(Story.state == StoryState.PUBLISHED)
        .group_by(Override.code, Override.reason)
    )
    found = [Overridden(*row) for row in session.execute(query)]
    found.sort(key=lambda each: (-each.count, each.code, each.reason))
    return _summed((each.code, each.count) for each in found), found[:MOST_REASONS]


def _notes(session: Session) -> Notes:
    """An error stood from the version that first had it to the one that was right."""
    query = select(Note.kind, Note.severity, Note.at, Revision.published_at).join(
        Revision, (Revision.story_id == Note.story_id) & (Revision.n == Note.from_n)
    )
    rows = session.execute(query).all()
    wrong = [row for row in rows if row.kind is ChangeKind.CORRECTION]
    counted = Counter(row.severity.value for row in wrong)
    return Notes(
        by_severity={severity.value: counted[severity.value] for severity in Severity},
        by_kind=_summed(
            (row.kind.value, 1) for row in rows if row.kind is not ChangeKind.CORRECTION
        ),
        median_stood=_median([row.at - row.published_at for row in wrong]),
    )


def _reports(session: Session) -> Reports:
    query = select(ReaderReport.verdict, ReaderReport.at, ReaderReport.answered_at)
    rows = session.execute(query).all()
    answered = [row.answered_at - row.at for row in rows if row.answered_at]
    by_verdict = _summed((row.verdict.value if row.verdict else OPEN, 1) for row in rows)
    return Reports(by_verdict, _median(answered))


def _summed(pairs: Any) -> dict[str, int]:
    """The counts by name, the greatest first."""
    counts: Counter[str] = Counter()
    for name, count in pairs:
        counts[name] += count
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _median(spans: Sequence[timedelta]) -> timedelta | None:
    """None where there are none: unknown is not zero."""
    if not spans:
        return None
    return timedelta(seconds=median(span.total_seconds() for span in spans))
