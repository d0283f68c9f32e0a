"""Weighing a piece of a file: a verdict on each row, and what follows from all of them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from nif.importing.judging import UNKNOWN, Standing, judge
from nif.importing.knowing import standings, with_own_word
from nif.importing.merging import Changes
from nif.importing.models import ImportRun, Verdict
from nif.importing.naming import GRAVE
from nif.importing.picking import Row, shortened
from nif.importing.rehearsing import Rehearsal
from nif.importing.staging import Change
from nif.subscriptions.forgetting import ERASED
from nif.subscriptions.models import SuppressionReason


class Problem(NamedTuple):
    """A row that is not taken: its line, why, and what stood there."""

    line: int
    code: str
    cell: str


@dataclass
class Weighed:
    """The verdicts on a piece, its problems, and who stands otherwise after it than before."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    before: dict[str, Standing] = field(default_factory=dict)
    after: dict[str, Standing] = field(default_factory=dict)
    said: dict[str, Row] = field(default_factory=dict)


def weigh(
    session: Session, run: ImportRun, rows: list[Row], rehearsal: Rehearsal | None = None
) -> Weighed:
    """What becomes of these rows, one after the other, as if each were written at once."""
    known = _known(session, run.list_id, rows, rehearsal)
    weighed = Weighed()
    for row in rows:
        if row.address is None:
            weighed.counts[Verdict.INVALID] += 1
            weighed.problems.append(Problem(row.line, row.code, row.cell))
            continue
        canonical = row.address.canonical
        standing = known.get(canonical, UNKNOWN)
        verdict, after = judge(standing, row.kind, row.ended, confirmed=run.confirmed)
        weighed.counts[verdict] += 1
        if after is not standing:
            weighed.before.setdefault(canonical, standing)
            weighed.after[canonical] = known[canonical] = after
            weighed.said[canonical] = row
        elif verdict is Verdict.SUPPRESSED or verdict is Verdict.LEFT:
            code = f"suppressed_{standing.suppressed}" if standing.suppressed else "left"
            was_erased = standing.suppressed is SuppressionReason.ERASED
            cell = ERASED if was_erased else shortened(row.address.written)
            weighed.problems.append(Problem(row.line, code, cell))
    return weighed


def changes_of(weighed: Weighed, *, now: datetime) -> Changes:
    """What is to be written of it, in one order of people."""
    changes = Changes()
    for canonical, after in sorted(weighed.after.items()):
        before, row = weighed.before[canonical], weighed.said[canonical]
        if after.suppressed is not before.suppressed and after.suppressed is not None:
            changes.suppressed[canonical] = after.suppressed
        if after.state is not before.state and after.state is not None and row.address is not None:
            changes.people.append(
                Change(
                    after.person,
                    row.address,
                    before.state,
                    after.state,
                    _past(row.since, now),
                    _past(row.ended, now),
                )
            )
    return changes


def _known(
    session: Session, list_id: int, rows: Iterable[Row], rehearsal: Rehearsal | None
) -> dict[str, Standing]:
    addresses = {row.address.canonical for row in rows if row.address is not None}
    known = standings(session, list_id, addresses)
    grave = {row.address.canonical for row in rows if row.address is not None and row.kind in GRAVE}
    with_own_word(session, list_id, known, grave)
    if rehearsal is not None:
        rehearsal.recall(known, addresses)
    return known


def _past(moment: datetime | None, now: datetime) -> datetime | None:
    return moment if moment is not None and moment <= now else None
