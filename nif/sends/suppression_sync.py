"""The provider's own lists of whom it mails no more, mirrored into ours.

Telling the provider whom the house mails no more, and whom it mails again.

Without it, mail that leaves the account by another way would reach those people; and without taking
back what was told, the provider would drop in silence the mail of readers who have come back.
Nothing of a send waits for any of it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from nif.clock import Clock
from nif.database import Transaction
from nif.mail.provider import (
    AccountLocked,
    Mailer,
    NotAccepted,
    ProviderSuppression,
    Refused,
    Unavailable,
    Uncertain,
)
from nif.sends import periodic_tasks, provider_events
from nif.sends.periodic_tasks import PeriodicTask
from nif.subscriptions import suppression_list, suppression_outbox
from nif.subscriptions.models import SuppressionReason
from nif.subscriptions.suppression_list import suppress_addresses
from nif.subscriptions.suppression_outbox import SuppressionPush

PULL_TASK = "suppressions"
PULL_EVERY = timedelta(hours=24)
PULL_OVERLAP = timedelta(days=2)
"""Lists are read from so long before the last time on: pages shift while people are added."""

FIRST_PULL_LOOK_BACK = timedelta(days=3650)

_REASON_OF_LIST = {
    "bounces": SuppressionReason.BOUNCED,
    "invalid_emails": SuppressionReason.INVALID,
    "spam_reports": SuppressionReason.COMPLAINED,
    "unsubscribes": SuppressionReason.UNSUBSCRIBED,
}


def pull_suppressions_if_due(
    transaction: Transaction, mailer: Mailer, *, now: datetime
) -> int | None:
    """Pull once a day, whichever worker comes first; None where it is not time."""
    with transaction() as session:
        if not periodic_tasks.begin_task_if_due(session, PULL_TASK, every=PULL_EVERY, now=now):
            return None
    return pull_suppressions(transaction, mailer, now=now)


def pull_suppressions(transaction: Transaction, mailer: Mailer, *, now: datetime) -> int:
    """Mirror what is new on the provider's lists; returns how many addresses were looked at.

    Raises NotTaken or Uncertain where the provider does not tell, which is also written down.
    """
    with transaction() as session:
        periodic_tasks.begin_task_if_due(session, PULL_TASK, every=timedelta(0), now=now)
        since = _pull_since(periodic_tasks.find_task(session, PULL_TASK), now)
    seen = 0
    try:
        for page in mailer.list_suppressions(since):
            with transaction() as session:
                _suppress_page(session, page, now)
            seen += len(page)
    except (NotAccepted, Uncertain) as error:
        with transaction() as session:
            periodic_tasks.record_task_result(session, PULL_TASK, str(error), now=now)
        raise
    with transaction() as session:
        periodic_tasks.record_task_result(session, PULL_TASK, None, now=now)
    return seen


def _pull_since(chore: PeriodicTask | None, now: datetime) -> datetime:
    if chore is None or chore.succeeded_at is None:
        return now - FIRST_PULL_LOOK_BACK
    return chore.succeeded_at - PULL_OVERLAP


def _suppress_page(session: Session, page: Sequence[ProviderSuppression], now: datetime) -> None:
    by_kind: dict[str, dict[str, datetime]] = defaultdict(dict)
    for one in page:
        by_kind[one.kind][one.address.lower()] = one.since
    for kind, addresses in sorted(by_kind.items()):
        source = f"SendGrid's list of {kind.replace('_', ' ')}"
        if kind == "unsubscribes":
            provider_events.apply_provider_unsubscribes(session, addresses, source, now=now)
        else:
            suppress_addresses(session, addresses, _REASON_OF_LIST[kind], source=source, now=now)


PUSH_TASK = "telling suppressions"
PUSH_EVERY = timedelta(seconds=30)
MAX_PUSH_REQUESTS = 20
"""In one go: most of SendGrid's endpoints take 600 a minute, and others want some too."""

PUSH_RETRY_WAIT = timedelta(minutes=1)
PUSH_LOCKED_WAIT = timedelta(minutes=15)


@dataclass
class PushedSuppressions:
    """How many addresses the provider has put on its list, taken off it, and will not take."""

    added: int = 0
    removed: int = 0
    refused: int = 0


def push_suppressions_if_due(
    transaction: Transaction, mailer: Mailer, *, clock: Clock
) -> PushedSuppressions | None:
    """Tell what is due, whichever worker comes first; None where it is not time.

    What keeps the provider from hearing it is written down, and tried again by itself.
    """
    with transaction() as session:
        if not periodic_tasks.begin_task_if_due(session, PUSH_TASK, every=PUSH_EVERY, now=clock()):
            return None
        suppression_list.compact_suppression_counts(session)
        suppression_outbox.prune_suppression_outbox(session, now=clock())
    if not mailer.has_suppression_list:
        return None
    try:
        return push_suppressions(transaction, mailer, clock=clock)
    except (NotAccepted, Uncertain):
        return None


def push_suppressions(
    transaction: Transaction, mailer: Mailer, *, clock: Clock, most: int = MAX_PUSH_REQUESTS
) -> PushedSuppressions:
    """Tell what is due in at most so many requests. What was told twice does no harm.

    A worker that dies on the way leaves its addresses to the next one, once their lease is over.

    Raises NotTaken or Uncertain where the provider does not take it, which is also written down.
    """
    told = PushedSuppressions()
    if not mailer.has_suppression_list:
        return told
    with transaction() as session:
        periodic_tasks.begin_task_if_due(session, PUSH_TASK, every=timedelta(0), now=clock())
    for _ in range(most):
        with transaction() as session:
            load = suppression_outbox.claim_suppression_push(session, now=clock())
        if load is None:
            break
        _push_change(transaction, mailer, load, told, clock)
    with transaction() as session:
        periodic_tasks.record_task_result(session, PUSH_TASK, None, now=clock())
    return told


def _push_change(
    transaction: Transaction,
    mailer: Mailer,
    load: SuppressionPush,
    told: PushedSuppressions,
    clock: Clock,
) -> None:
    try:
        if load.suppressed:
            mailer.suppress(load.canonicals)
        else:
            mailer.unsuppress(load.canonicals[0])
    except Refused as error:
        with transaction() as session:
            suppression_outbox.reject_suppression_push(session, load, str(error), now=clock())
        told.refused += len(load.canonicals) == 1
    except (NotAccepted, Uncertain) as error:
        _postpone_push(transaction, load, error, clock())
        raise
    else:
        with transaction() as session:
            suppression_outbox.complete_suppression_push(session, load, now=clock())
        if load.suppressed:
            told.added += len(load.canonicals)
        else:
            told.removed += 1


def _postpone_push(
    transaction: Transaction, load: SuppressionPush, error: NotAccepted | Uncertain, now: datetime
) -> None:
    """Everything waits as long as the provider asks for; what may be under way, a while longer."""
    pause = PUSH_RETRY_WAIT
    if isinstance(error, AccountLocked):
        pause = PUSH_LOCKED_WAIT
    elif isinstance(error, Unavailable) and error.retry_after is not None:
        pause = timedelta(seconds=error.retry_after)
    quiet = suppression_outbox.UNCERTAIN_PAUSE if isinstance(error, Uncertain) else timedelta(0)
    with transaction() as session:
        suppression_outbox.postpone_suppression_push(session, load, now + quiet)
        periodic_tasks.postpone_task(session, PUSH_TASK, now + pause, every=PUSH_EVERY, now=now)
        periodic_tasks.record_task_result(session, PUSH_TASK, str(error), now=now)
