"""What becomes of a row, by what the house knows of the person: no row brings anybody back."""

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
    """What the house knows of an address and one list.

    `had_left` says that they left the list once, also where they were asked again since; `own` is
    when they last confirmed here themselves, where that was looked up.
    """

    person: int | None = None
    state: SubscriptionState | None = None
    had_left: bool = False
    suppressed: SuppressionReason | None = None
    own: datetime | None = None


UNKNOWN_ADDRESS = AddressStatus()
NEWLY_JOINED = {
    state: AddressStatus(state=state)
    for state in (SubscriptionState.PENDING, SubscriptionState.CONFIRMED)
}
"""How those stand of whom nothing was known: the same for a million of them."""


def decide_row(
    known: AddressStatus, kind: StatedStatus, ended: datetime | None, *, confirmed: bool
) -> tuple[RowOutcome, AddressStatus]:
    """The verdict on a row, and how the person stands after it.

    `ended` is since when the file says that they have left or bounced; `confirmed` that they are
    said to have confirmed elsewhere.
    """
    if known.suppressed is SuppressionReason.ERASED:
        return RowOutcome.SUPPRESSED, known
    if kind in DO_NOT_MAIL_STATUSES:
        return _decide_do_not_mail(known, kind, ended)
    if known.suppressed is not None:
        return RowOutcome.SUPPRESSED, known
    if known.state is SubscriptionState.UNSUBSCRIBED or known.had_left:
        # Also one who left and was asked again: only they themselves can answer that.
        return _decide_former_subscriber(known)
    wanted = (
        SubscriptionState.CONFIRMED
        if confirmed and kind is StatedStatus.SUBSCRIBED
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
    is_back = known.state is SubscriptionState.CONFIRMED
    return (RowOutcome.UNCHANGED if is_back else RowOutcome.UNSUBSCRIBED), known


def _decide_do_not_mail(
    known: AddressStatus, kind: StatedStatus, ended: datetime | None
) -> tuple[RowOutcome, AddressStatus]:
    """Who left or bounced elsewhere, unless they confirmed here since."""
    since_then = known.own is not None and ended is not None and known.own > ended
    if since_then and kind is not StatedStatus.COMPLAINED:
        return RowOutcome.UNCHANGED, known
    if kind is StatedStatus.UNSUBSCRIBED:
        if known.state is SubscriptionState.UNSUBSCRIBED:
            return RowOutcome.UNCHANGED, known
        return RowOutcome.SKIPPED, known._replace(
            state=SubscriptionState.UNSUBSCRIBED, had_left=True
        )
    if known.suppressed is not None:
        return RowOutcome.UNCHANGED, known
    return RowOutcome.SKIPPED, known._replace(suppressed=REASON_BY_STATUS[kind])
