"""How many addresses are suppressed for each reason: kept by steps, in the same transaction."""

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from nif.subscriptions.models import SuppressionReason, SuppressionStep


def count(session: Session, steps: Mapping[SuppressionReason, int]) -> None:
    """Count so many more, or fewer, of each reason. Nobody waits for anybody with it."""
    rows = [{"reason": reason, "step": step} for reason, step in sorted(steps.items()) if step]
    if rows:
        session.execute(insert(SuppressionStep), rows)


def counts(session: Session) -> dict[SuppressionReason, int]:
    """How many there are of each reason, without counting them."""
    sums = select(SuppressionStep.reason, func.sum(SuppressionStep.step))
    found = dict.fromkeys(SuppressionReason, 0)
    found.update((row[0], int(row[1])) for row in session.execute(sums.group_by("reason")))
    return found


def add_up(session: Session) -> None:
    """Put what the steps add up to in the place of the steps."""
    gone = delete(SuppressionStep).returning(SuppressionStep.reason, SuppressionStep.step)
    sums: Counter[SuppressionReason] = Counter()
    for reason, step in session.execute(gone):
        sums[reason] += step
    count(session, sums)
