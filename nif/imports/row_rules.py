"""What happens to a row, given what NIF knows of the address. No row resubscribes anybody."""

from datetime import datetime
from typing import NamedTuple

from nif.imports.column_mapping import DO_NOT_MAIL_STATUSES, StatedStatus
from nif.imports.models import RowOutcome
from nif.subscriptions.models import SubscriptionState, SuppressionReason

REASON_BY_STATUS = {
    StatedStatus.BOUNCED: SuppressionReason.BOUNCED,
    StatedStatus.COMPLAINED: SuppressionReason.COMPLAINED,
}


class AddressStatus(NamedTuple):
    """What NIF knows of an address and one list.

    `has_unsubscribed` says that the subscriber has unsubscribed from the list before, even if a
    later sign-up is pending. `confirmed_here_at` is when they last confirmed here themselves; it is
    loaded only for rows that say not to mail them.
    """

    subscriber_id: int | None = None
    state: SubscriptionState | None = None
    has_unsubscribed: bool = False
    suppressed: SuppressionReason | None = None
    confirmed_here_at: datetime | None = None


UNKNOWN_ADDRESS = AddressStatus()
NEWLY_JOINED = {
    state: AddressStatus(state=state)
    for state in (SubscriptionState.PENDING, SubscriptionState.CONFIRMED)
}
"""The status of formerly unknown addresses after their row: one object for a million of them."""


def decide_row(
    known: AddressStatus, status: StatedStatus, ended_at: datetime | None, *, confirmed: bool
) -> tuple[RowOutcome, AddressStatus]:
    """The outcome of a row, and the address's status after it.

    `ended_at` is when the subscriber unsubscribed or bounced according to the file. `confirmed`
    says that the subscribers of the file confirmed elsewhere.
    """
    if known.suppressed is SuppressionReason.ERASED:
        return RowOutcome.SUPPRESSED, known
    if status in DO_NOT_MAIL_STATUSES:
        return _decide_do_not_mail(known, status, ended_at)
    if known.suppressed is not None:
        return RowOutcome.SUPPRESSED, known
    if known.state is SubscriptionState.UNSUBSCRIBED or known.has_unsubscribed:
        # This includes a pending sign-up after unsubscribing: only the subscriber can confirm it.
        return _decide_former_subscriber(known)
    wanted = (
        SubscriptionState.CONFIRMED
        if confirmed and status is StatedStatus.SUBSCRIBED
        else SubscriptionState.PENDING
    )
    if known is UNKNOWN_ADDRESS:
        return RowOutcome.NEW, NEWLY_JOINED[wanted]
    if known.state is None:
        return RowOutcome.NEW, known._replace(state=wanted)
    if known.state is SubscriptionState.PENDING and wanted is SubscriptionState.CONFIRMED:
        return RowOutcome.CHANGED, known._replace(state=wanted)
    return RowOutcome.UNCHANGED, known


def _decide_former_subscriber(known: AddressStatus) -> tuple[RowOutcome, AddressStatus]:
    has_returned = known.state is SubscriptionState.CONFIRMED
    return (RowOutcome.UNCHANGED if has_returned else RowOutcome.UNSUBSCRIBED), known


def _decide_do_not_mail(
    known: AddressStatus, status: StatedStatus, ended_at: datetime | None
) -> tuple[RowOutcome, AddressStatus]:
    """Unsubscribe or suppress, unless the subscriber confirmed here after `ended_at`."""
    confirmed_since = (
        known.confirmed_here_at is not None
        and ended_at is not None
        and known.confirmed_here_at > ended_at
    )
    if confirmed_since and status is not StatedStatus.COMPLAINED:
        return RowOutcome.UNCHANGED, known
    if status is StatedStatus.UNSUBSCRIBED:
        if known.state is SubscriptionState.UNSUBSCRIBED:
            return RowOutcome.UNCHANGED, known
        return RowOutcome.SKIPPED, known._replace(
            state=SubscriptionState.UNSUBSCRIBED, has_unsubscribed=True
        )
    if known.suppressed is not None:
        return RowOutcome.UNCHANGED, known
    return RowOutcome.SKIPPED, known._replace(suppressed=REASON_BY_STATUS[status])
