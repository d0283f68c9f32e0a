"""Keeping the provider's suppression lists and ours in step.

Pulling copies the provider's lists into ours. Pushing puts our suppressions on the provider's list,
so that other mail from the same account does not reach those addresses, and takes lifted ones off
it again: otherwise the provider would silently drop the mail of subscribers who came back. No send
waits for either.
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
from nif.subscriptions import suppression_list, suppression_outbox
from nif.subscriptions.models import SuppressionReason
from nif.subscriptions.suppression_list import suppress_addresses
from nif.subscriptions.suppression_outbox import SuppressionPush

PULL_TASK = "pull_suppressions"
PULL_EVERY = timedelta(hours=24)
PULL_OVERLAP = timedelta(days=2)
"""Each pull starts this long before the last one: pages shift while addresses are added."""

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
    """Pull once a day, in one worker; None where it is not due."""
    with transaction() as session:
        if not periodic_tasks.begin_task_if_due(session, PULL_TASK, every=PULL_EVERY, now=now):
            return None
    return pull_suppressions(transaction, mailer, now=now)


def pull_suppressions(transaction: Transaction, mailer: Mailer, *, now: datetime) -> int:
    """Copy what is new on the provider's lists; return how many addresses were read.

    Raises NotAccepted or Uncertain where the provider does not answer, which is also recorded.
    """
    with transaction() as session:
        last = periodic_tasks.begin_task(session, PULL_TASK, every=PULL_EVERY, now=now).succeeded_at
    # A clock that was ahead may have recorded the last one.
    since = min(last, now) - PULL_OVERLAP if last else now - FIRST_PULL_LOOK_BACK
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


def _suppress_page(session: Session, page: Sequence[ProviderSuppression], now: datetime) -> None:
    by_kind: dict[str, dict[str, datetime]] = defaultdict(dict)
    for entry in page:
        by_kind[entry.kind][entry.address.lower()] = entry.since
    for kind, addresses in sorted(by_kind.items()):
        source = f"SendGrid's list of {kind.replace('_', ' ')}"
        if kind == "unsubscribes":
            provider_events.apply_provider_unsubscribes(session, addresses, source, now=now)
        else:
            suppress_addresses(session, addresses, _REASON_OF_LIST[kind], source=source, now=now)


PUSH_TASK = "push_suppressions"
PUSH_EVERY = timedelta(seconds=30)
MAX_PUSH_REQUESTS = 20
"""At one time. Most of SendGrid's endpoints allow 600 requests a minute, for all of them."""

PUSH_RETRY_WAIT = timedelta(minutes=1)
PUSH_LOCKED_WAIT = timedelta(minutes=15)


@dataclass
class PushedSuppressions:
    """How many addresses were added to the provider's list, removed from it, and refused."""

    added: int = 0
    removed: int = 0
    refused: int = 0


def push_suppressions_if_due(
    transaction: Transaction, mailer: Mailer, *, clock: Clock
) -> PushedSuppressions | None:
    """Push what is due, in one worker; None where it is not due, or failed.

    A failure is recorded, and the push is tried again later.
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
    """Push what is due in at most `most` requests. Pushing an address twice does no harm.

    Raises NotAccepted or Uncertain where the provider does not accept them, which is also recorded.
    """
    result = PushedSuppressions()
    if not mailer.has_suppression_list:
        return result
    with transaction() as session:
        periodic_tasks.begin_task(session, PUSH_TASK, every=PUSH_EVERY, now=clock())
    for _ in range(most):
        with transaction() as session:
            push = suppression_outbox.claim_suppression_push(session, now=clock())
        if push is None:
            break
        _push_change(transaction, mailer, push, result, clock)
    with transaction() as session:
        periodic_tasks.record_task_result(session, PUSH_TASK, None, now=clock())
    return result


def _push_change(
    transaction: Transaction,
    mailer: Mailer,
    push: SuppressionPush,
    result: PushedSuppressions,
    clock: Clock,
) -> None:
    try:
        if push.suppressed:
            mailer.suppress(push.canonicals)
        else:
            mailer.unsuppress(push.canonicals[0])
    except Refused as error:
        with transaction() as session:
            suppression_outbox.reject_suppression_push(session, push, str(error), now=clock())
        result.refused += len(push.canonicals) == 1
    except (NotAccepted, Uncertain) as error:
        _postpone_push(transaction, push, error, clock())
        raise
    else:
        with transaction() as session:
            suppression_outbox.complete_suppression_push(session, push, now=clock())
        if push.suppressed:
            result.added += len(push.canonicals)
        else:
            result.removed += 1


def _postpone_push(
    transaction: Transaction, push: SuppressionPush, error: NotAccepted | Uncertain, now: datetime
) -> None:
    """All pushes wait as long as the provider asks for; uncertain ones a while longer."""
    pause, try_at = PUSH_RETRY_WAIT, now
    if isinstance(error, AccountLocked):
        pause = PUSH_LOCKED_WAIT
    elif isinstance(error, Unavailable) and error.retry_after is not None:
        pause = timedelta(seconds=error.retry_after)
    elif isinstance(error, Uncertain):
        try_at = now + suppression_outbox.UNCERTAIN_PAUSE
    with transaction() as session:
        suppression_outbox.postpone_suppression_push(session, push, try_at)
        periodic_tasks.postpone_task(session, PUSH_TASK, now + pause)
        periodic_tasks.record_task_result(session, PUSH_TASK, str(error), now=now)
