"""Taking a send's next batch, behind a fence where there are fences, and packing its request."""

from sqlalchemy import select

from nif.mail.mailer import Fence, NotTaken, Parcel, Uncertain
from nif.sends import braking, settling
from nif.sends.claiming import Claim, Later, claim
from nif.sends.copying import Reader
from nif.sends.courier import Courier, Load
from nif.sends.models import Batch, BatchState


def take(courier: Courier, load: Load) -> Claim | Later | None:
    """The next batch; None where there is none, or nothing may be begun now."""
    if courier.stopping.is_set() or not load.heart.is_safe():
        return None
    try:
        fence = _fence(courier, load.send_id)
    except (NotTaken, Uncertain) as error:
        with courier.transaction() as session:
            braking.note_failure(session, error, now=courier.clock())
        return None
    used_before, load.heart.was_used = load.heart.was_used, True
    with courier.transaction() as session:
        taken = claim(session, load.send_id, load.terms, fence=fence, now=courier.clock())
    # Only now: a claim whose commit nobody saw end needs its lease.
    load.heart.was_used = used_before or isinstance(taken, Claim)
    return taken


def _fence(courier: Courier, send_id: int) -> Fence | None:
    """A fence for the next attempt, where attempts have one and may be made now."""
    if courier.fence_ahead is None:
        return None
    with courier.transaction() as session:
        is_open = braking.look(session, now=courier.clock()).is_open
        planned = select(Batch.id).where(
            Batch.send_id == send_id, Batch.state == BatchState.PLANNED
        )
        if not is_open or session.scalar(planned.limit(1)) is None:
            return None
    fence_id = courier.mailer.fence_id()
    return Fence(fence_id, courier.clock() + courier.fence_ahead) if fence_id else None


def pack(courier: Courier, load: Load, taken: Claim) -> Parcel | None:
    """The request for a batch; None where some of its copies cannot be written."""
    try:
        return _pack_for(courier, load, taken, taken.readers)
    except Exception as fault:
        why = {reader[0]: _why_not(courier, load, taken, reader) for reader in taken.readers}
        bad = [(subscriber_id, fault) for subscriber_id, fault in why.items() if fault]
        with courier.transaction() as session:
            # Where each one can be written and all together cannot, it is no reader's fault.
            bad = bad or [(reader[0], type(fault).__name__) for reader in taken.readers]
            settling.unwritable(session, taken, bad, now=courier.clock())
        return None


def _pack_for(courier: Courier, load: Load, taken: Claim, readers: list[Reader]) -> Parcel:
    return courier.mailer.pack(
        load.message,
        load.copies(readers, taken.begun_at),
        attempt=taken.attempt_id,
        fence=taken.fence,
    )


def _why_not(courier: Courier, load: Load, taken: Claim, reader: Reader) -> str | None:
    try:
        _pack_for(courier, load, taken, [reader])
    except Exception as fault:
        return type(fault).__name__
    return None
