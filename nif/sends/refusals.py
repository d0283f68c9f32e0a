"""Refusals: who is left out for one, when NIF stops to believe them, and trying those again.

A provider, or a proxy before it, can be wrong about the subscribers that it refuses. So NIF
believes a bounded number of refusals for each send. Past that it pauses the send, and the refused
are planned again. A refused subscriber gets a batch of their own, so that no later attempt covers
them: only then is it certain that they were not mailed, and may be tried again.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from nif.database import table_of
from nif.mail.provider import Refused
from nif.sends.batches import ClaimedBatch, recount_batch, set_outcome, split_batch, stop_send
from nif.sends.models import (
    Attempt,
    Batch,
    BatchState,
    Delivery,
    DeliveryOutcome,
    Send,
    SendState,
    SendStopCause,
)

MAX_REFUSED = 20
MAX_REFUSED_PERCENT = 2
"""So many refused subscribers of a send are believed, or so many in a hundred where that is more.
Confirmed lists have far fewer: NIF checks the form of addresses, and so does SendGrid."""

MAX_REFUSALS_IN_A_ROW = 20
"""Up to so many subscribers in a row who were refused alone, without being named and without one
acceptance in between, may be bad addresses side by side. More mean that the mail is at fault."""


def max_refused(audience: int) -> int:
    """How many subscribers of a send the provider may refuse before NIF pauses it."""
    return max(MAX_REFUSED, audience * MAX_REFUSED_PERCENT // 100)


def handle_refusal(session: Session, claimed: ClaimedBatch, batch: Batch, error: Refused) -> None:
    """Decide what a refusal means for a batch that was planned again; its send is locked.

    Subscribers named in the refusal are left out. Where it names none, the batch is split until the
    refused one is alone. Where the mail itself is refused, the send stops.
    """
    send = session.get_one(Send, claimed.send_id, populate_existing=True)
    if send.state is SendState.PAUSED and send.stop_cause in _NOBODY_AT_FAULT:
        return
    subscribers = claimed.subscribers
    if any(_concerns_the_mail(problem.field, problem.copy) for problem in error.problems):
        detail = f"The mail itself was refused: {error}"
        stop_send(session, send.id, SendStopCause.CONTENT, detail)
    elif named := _named_subscribers(error, [subscriber_id for subscriber_id, _ in subscribers]):
        _leave_out(session, send, batch, claimed, named)
    elif len(subscribers) > 1:
        session.flush()
        split_batch(session, batch.id, subscribers[len(subscribers) // 2][0])
    elif error.status == 413:
        detail = "The mail is too large for the provider."
        stop_send(session, send.id, SendStopCause.TOO_LARGE, detail)
    else:
        _refuse_unnamed(session, send, batch, claimed, str(error))


_NOBODY_AT_FAULT = (SendStopCause.CONTENT, SendStopCause.REFUSALS)
"""A send that is paused for these marks nobody: answers of other workers may still come in."""


def _concerns_the_mail(field: str | None, copy: int | None) -> bool:
    """Is it the mail that a problem is about, and no copy's address and no personalization?"""
    if not field or copy is not None:
        return False
    first, *rest = field.split(".")
    return first != "personalizations" or len(rest) > 1


def _named_subscribers(error: Refused, subscriber_ids: Sequence[int]) -> dict[int, str]:
    """The subscribers whose addresses are at fault, each with the provider's reason.

    None where a copy is named that the request does not have: such an answer is about another one.
    """
    named = {problem.copy: problem.message for problem in error.problems}
    indexes = [index for index in named if index is not None]
    if any(index >= len(subscriber_ids) for index in indexes):
        return {}
    return {subscriber_ids[index]: named[index] for index in indexes}


def _refuse_unnamed(
    session: Session, send: Send, batch: Batch, claimed: ClaimedBatch, reason: str
) -> None:
    """A subscriber was refused alone, and no answer named them."""
    send.refusals += 1
    if send.refusals > MAX_REFUSALS_IN_A_ROW:
        restore_refused(session, send.id)
        detail = f"The mail itself seems to be refused: {reason}"
        stop_send(session, send.id, SendStopCause.CONTENT, detail)
    else:
        _leave_out(session, send, batch, claimed, {claimed.subscribers[0][0]: reason})


def _leave_out(
    session: Session, send: Send, batch: Batch, claimed: ClaimedBatch, refused: Mapping[int, str]
) -> None:
    """Leave these subscribers out, unless the provider refuses more than NIF believes."""
    session.flush()
    subscriber_ids = [subscriber_id for subscriber_id, _ in claimed.subscribers]
    for reason in set(refused.values()):
        ids = [subscriber_id for subscriber_id in refused if refused[subscriber_id] == reason]
        set_outcome(session, send.id, ids, DeliveryOutcome.REFUSED, reason)
    for middle in reversed(_borders(subscriber_ids, refused)):
        split_batch(session, batch.id, middle)
    recount_batch(session, batch)
    session.flush()
    total, to_mail = session.execute(
        select(func.sum(Batch.refused), func.sum(Batch.to_mail)).where(Batch.send_id == send.id)
    ).one()
    if total > max_refused(send.audience) or (total > 1 and to_mail == 0):
        restore_refused(session, send.id)
        some = next(iter(refused.values()))
        detail = f"{total:,} of {send.audience:,} subscribers were refused. The last reason: {some}"
        stop_send(session, send.id, SendStopCause.REFUSALS, detail)


def _borders(subscriber_ids: Sequence[int], refused: Mapping[int, str]) -> list[int]:
    """The ids at which a batch is split so that refused and other subscribers do not share one."""
    return [
        later
        for earlier, later in pairwise(subscriber_ids)
        if (earlier in refused) != (later in refused)
    ]


def restore_refused(session: Session, send_id: int) -> int:
    """Plan the refused subscribers of a send again; returns how many.

    Left out are those covered by an attempt that may have left: they may have been mailed.
    """
    batches = session.scalars(
        select(Batch)
        .where(
            Batch.send_id == send_id,
            Batch.refused > 0,
            (Batch.state == BatchState.PLANNED)
            | ((Batch.state == BatchState.ACCEPTED) & Batch.attempt_id.is_(None)),
        )
        .execution_options(populate_existing=True)
    ).all()
    covered = _spans_that_may_have_left(session, send_id)
    wanted = [each for each in batches if not _overlaps(covered, each)]
    restored = 0
    for batch in wanted:
        result = session.execute(
            update(table_of(Delivery))
            .where(
                Delivery.send_id == send_id,
                Delivery.subscriber_id.between(batch.first_subscriber_id, batch.last_subscriber_id),
                Delivery.outcome == DeliveryOutcome.REFUSED,
            )
            .values(outcome=None, reason=None)
            .returning(Delivery.subscriber_id)
        )
        restored += len(result.all())
        batch.refused, batch.state, batch.settled_at = 0, BatchState.PLANNED, None
    session.flush()
    return restored


def _spans_that_may_have_left(session: Session, send_id: int) -> list[tuple[int, int]]:
    """The ranges of ids that were or may have been mailed: sorted, and those that touch joined."""
    rows = session.execute(
        select(Attempt.first_subscriber_id, Attempt.last_subscriber_id)
        .where(Attempt.send_id == send_id, Attempt.may_have_left)
        .order_by(Attempt.first_subscriber_id)
    )
    spans: list[tuple[int, int]] = []
    for first, last in rows:
        if spans and first <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(last, spans[-1][1]))
        else:
            spans.append((first, last))
    return spans


def _overlaps(spans: Sequence[tuple[int, int]], batch: Batch) -> bool:
    place = bisect_right(spans, (batch.last_subscriber_id, batch.last_subscriber_id + 1)) - 1
    return place >= 0 and spans[place][1] >= batch.first_subscriber_id
