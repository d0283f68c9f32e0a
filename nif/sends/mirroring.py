"""The provider's own lists of whom it mails no more, mirrored into ours."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from nif.database import Transaction
from nif.mail.mailer import Blocked, Mailer, NotTaken, Uncertain
from nif.sends import chores, matching
from nif.sends.chores import Chore
from nif.subscriptions.models import SuppressionReason
from nif.subscriptions.suppressing import suppress_all

CHORE = "suppressions"
EVERY = timedelta(hours=24)
OVERLAP = timedelta(days=2)
"""Lists are read from so long before the last time on: pages shift while people are added."""

LONG_AGO = timedelta(days=3650)

_REASONS = {
    "bounces": SuppressionReason.BOUNCED,
    "invalid_emails": SuppressionReason.INVALID,
    "spam_reports": SuppressionReason.COMPLAINED,
    "unsubscribes": SuppressionReason.UNSUBSCRIBED,
}


def pull_if_due(transaction: Transaction, mailer: Mailer, *, now: datetime) -> int | None:
    """Pull once a day, whichever worker comes first; None where it is not time."""
    with transaction() as session:
        if not chores.begin(session, CHORE, every=EVERY, now=now):
            return None
    return pull(transaction, mailer, now=now)


def pull(transaction: Transaction, mailer: Mailer, *, now: datetime) -> int:
    """Mirror what is new on the provider's lists; returns how many addresses were looked at.

    Raises NotTaken or Uncertain where the provider does not tell, which is also written down.
    """
    with transaction() as session:
        chores.begin(session, CHORE, every=timedelta(0), now=now)
        since = _since(chores.find(session, CHORE), now)
    seen = 0
    try:
        for page in mailer.blocked(since):
            with transaction() as session:
                _mirror(session, page, now)
            seen += len(page)
    except (NotTaken, Uncertain) as error:
        with transaction() as session:
            chores.note(session, CHORE, str(error), now=now)
        raise
    with transaction() as session:
        chores.note(session, CHORE, None, now=now)
    return seen


def _since(chore: Chore | None, now: datetime) -> datetime:
    if chore is None or chore.done_at is None:
        return now - LONG_AGO
    return chore.done_at - OVERLAP


def _mirror(session: Session, page: Sequence[Blocked], now: datetime) -> None:
    by_kind: dict[str, dict[str, datetime]] = defaultdict(dict)
    for one in page:
        by_kind[one.kind][one.address.lower()] = one.since
    for kind, addresses in sorted(by_kind.items()):
        source = f"SendGrid's list of {kind.replace('_', ' ')}"
        if kind == "unsubscribes":
            matching.take_in_wishes(session, addresses, source, now=now)
        else:
            suppress_all(session, addresses, _REASONS[kind], source=source, now=now)
