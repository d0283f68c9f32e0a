"""What becomes of a row, by what the house knows of the person: no row brings anybody back."""

from datetime import datetime
from typing import NamedTuple

from nif.importing.models import Verdict
from nif.importing.naming import GRAVE, Kind
from nif.subscriptions.models import SubscriptionState, SuppressionReason

SUPPRESSING = {
    Kind.BOUNCED: SuppressionReason.BOUNCED,
    Kind.COMPLAINED: SuppressionReason.COMPLAINED,
}


class Standing(NamedTuple):
    """What the house knows of an address and one list.

    `had_left` says that they left the list once, also where they were asked again since; `own` is
    when they last confirmed here themselves, where that was looked up.
    """

    person: int | None = None
    state: SubscriptionState | None = None
    had_left: bool = False
    suppressed: SuppressionReason | None = None
    own: datetime | None = None


UNKNOWN = Standing()
FRESH = {
    state: Standing(state=state)
    for state in (SubscriptionState.PENDING, SubscriptionState.CONFIRMED)
}
"""How those stand of whom nothing was known: the same for a million of them."""


def judge(
    known: Standing, kind: Kind, ended: datetime | None, *, confirmed: bool
) -> tuple[Verdict, Standing]:
    """The verdict on a row, and how the person stands after it.

    `ended` is since when the file says that they have left or bounced; `confirmed` that they are
    said to have confirmed elsewhere.
    """
    if known.suppressed is SuppressionReason.ERASED:
        return Verdict.SUPPRESSED, known
    if kind in GRAVE:
        return _put_off(known, kind, ended)
    if known.suppressed is not None:
        return Verdict.SUPPRESSED, known
    if known.state is SubscriptionState.LEFT or known.had_left:
        # Also one who left and was asked again: only they themselves can answer that.
        return _kept_or_left(known)
    wanted = (
        SubscriptionState.CONFIRMED
        if confirmed and kind is Kind.SUBSCRIBED
        else SubscriptionState.PENDING
    )
    if known is UNKNOWN:
        return Verdict.NEW, FRESH[wanted]
    if known.state is None:
        return Verdict.NEW, known._replace(state=wanted)
    if known.state is SubscriptionState.PENDING and wanted is SubscriptionState.CONFIRMED:
        return Verdict.CHANGED, known._replace(state=wanted)
    return Verdict.THERE, known


def _kept_or_left(known: Standing) -> tuple[Verdict, Standing]:
    is_back = known.state is SubscriptionState.CONFIRMED
    return (Verdict.THERE if is_back else Verdict.LEFT), known


def _put_off(known: Standing, kind: Kind, ended: datetime | None) -> tuple[Verdict, Standing]:
    """Who left or bounced elsewhere, unless they confirmed here since."""
    since_then = known.own is not None and ended is not None and known.own > ended
    if since_then and kind is not Kind.COMPLAINED:
        return Verdict.THERE, known
    if kind is Kind.LEFT:
        if known.state is SubscriptionState.LEFT:
            return Verdict.THERE, known
        return Verdict.OFF, known._replace(state=SubscriptionState.LEFT, had_left=True)
    if known.suppressed is not None:
        return Verdict.THERE, known
    return Verdict.OFF, known._replace(suppressed=SUPPRESSING[kind])
