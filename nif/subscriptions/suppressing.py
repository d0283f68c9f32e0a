"""The one list of addresses that are never to be mailed again.

Whatever makes or ends a suppression does so here, or where somebody is erased: so that counters,
and what the provider is to be told, follow in the same transaction.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.subscriptions import relaying, tallying
from nif.subscriptions.forgetting import is_erased, is_erased_many
from nif.subscriptions.models import Suppression, SuppressionReason
from nif.subscriptions.relaying import UNTOUCHED, pages

GRAVITY = (
    SuppressionReason.UNSUBSCRIBED,
    SuppressionReason.MANUAL,
    SuppressionReason.INVALID,
    SuppressionReason.BOUNCED,
    SuppressionReason.COMPLAINED,
    SuppressionReason.ERASED,
)
"""The gravest reason stays, in whatever order they become known."""


def suppress(
    session: Session, canonical: str, reason: SuppressionReason, *, source: str, now: datetime
) -> None:
    """Never mail this address again. A reason gives way to a graver one only."""
    suppress_all(session, [canonical], reason, source=source, now=now)


def suppress_all(
    session: Session,
    canonicals: Iterable[str],
    reason: SuppressionReason,
    *,
    source: str,
    now: datetime,
) -> None:
    """Never mail any of these addresses again. Who was erased is not written down anew for it."""
    canonicals = set(canonicals)
    canonicals -= is_erased_many(session, canonicals)
    steps: Counter[SuppressionReason] = Counter()
    changed: list[str] = []
    # In one order, so that two who do this at once cannot wait for each other.
    for page in pages(sorted(canonicals)):
        left: Collection[str] = page
        while left:
            new = _insert(session, dict.fromkeys(left, reason), source, now)
            known = _make_graver(session, set(left) - new, reason, source, now)
            steps[reason] += len(new)
            for canonical, before in known.items():
                if before is not reason:
                    steps[before] -= 1
                    steps[reason] += 1
                    changed.append(canonical)
            changed += new
            # Whoever was let go between the two statements is not there: once more.
            left = sorted(set(left) - new - known.keys())
    tallying.count(session, steps)
    only_known = not relaying.is_told(reason, source)
    relaying.want(session, changed, suppressed=True, only_known=only_known, now=now)


def add(
    session: Session, reasons: Mapping[str, SuppressionReason], *, source: str, now: datetime
) -> set[str]:
    """Suppress those of these addresses that are not, each for its reason; returns those.

    A suppression that stands stays as it is. Nobody of them may have been erased.
    """
    new: set[str] = set()
    for page in pages(sorted(reasons)):
        new |= _insert(session, {one: reasons[one] for one in page}, source, now)
    tallying.count(session, Counter(reasons[one] for one in new))
    told = {one for one in new if relaying.is_told(reasons[one], source)}
    relaying.want(session, told, suppressed=True, now=now)
    relaying.want(session, new - told, suppressed=True, only_known=True, now=now)
    return new


def end(session: Session, *which: ColumnElement[bool], now: datetime) -> set[str]:
    """End these suppressions, and have the provider mail those addresses again; returns them."""
    gone = _delete(session, *which)
    told = {one for one, reason in gone.items() if reason in relaying.TOLD}
    relaying.want(session, told, suppressed=False, now=now)
    relaying.want(session, gone.keys() - told, suppressed=False, only_known=True, now=now)
    return set(gone)


def forget(session: Session, canonical: str) -> None:
    """Drop a suppression together with its address: whoever reads there was erased."""
    _delete(session, Suppression.canonical == canonical)


def is_suppressed(session: Session, canonical: str) -> bool:
    """Is this address never to be mailed?"""
    found = select(Suppression.canonical).where(Suppression.canonical == canonical)
    return session.scalar(found) is not None or is_erased(session, canonical)


def lock(session: Session, canonicals: Collection[str]) -> None:
    """Have whoever would end a suppression of one of these wait for us, or wait for them."""
    for page in pages(sorted(canonicals)):
        theirs = select(Suppression.canonical).where(Suppression.canonical.in_(page))
        session.execute(theirs.order_by(Suppression.canonical).with_for_update()).all()


def _insert(
    session: Session, reasons: Mapping[str, SuppressionReason], source: str, now: datetime
) -> set[str]:
    """Write down those that are not there; returns them."""
    rows = [
        {"canonical": canonical, "reason": reason, "source": source, "at": now}
        for canonical, reason in reasons.items()
    ]
    made = insert_into(session, Suppression).values(rows).on_conflict_do_nothing()
    return set(session.scalars(made.returning(Suppression.canonical)))


def _make_graver(
    session: Session,
    canonicals: Collection[str],
    reason: SuppressionReason,
    source: str,
    now: datetime,
) -> dict[str, SuppressionReason]:
    """Give those the reason that have a lighter one; returns what all of them had before.

    For whom nothing changes, that is the reason itself.
    """
    if not canonicals:
        return {}
    theirs = select(Suppression.canonical, Suppression.reason).where(
        Suppression.canonical.in_(sorted(canonicals))
    )
    held = theirs.order_by(Suppression.canonical).with_for_update()
    before = {row[0]: row[1] for row in session.execute(held)}
    lighter = GRAVITY[: GRAVITY.index(reason)]
    changing = [one for one, had in before.items() if had in lighter]
    if changing:
        session.execute(
            update(Suppression)
            .where(Suppression.canonical.in_(changing))
            .values(reason=reason, source=source, at=now),
            execution_options=UNTOUCHED,
        )
    had = dict.fromkeys(before, reason)
    return had | {one: before[one] for one in changing}


def _delete(session: Session, *which: ColumnElement[bool]) -> dict[str, SuppressionReason]:
    gone = delete(Suppression).where(*which).returning(Suppression.canonical, Suppression.reason)
    found = {row[0]: row[1] for row in session.execute(gone, execution_options=UNTOUCHED)}
    tallying.count(session, {one: -n for one, n in Counter(found.values()).items()})
    return found
