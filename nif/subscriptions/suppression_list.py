"""The one list of addresses that are never to be mailed again.

Whatever makes or ends a suppression does so here, or where somebody is erased: so that counters,
and what the provider is to be told, follow in the same transaction.

How many addresses are suppressed for each reason: kept by steps, in the same transaction.

What is kept of who was erased: a keyed hash, so that no later import mails them again.
"""

import hmac
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.orm import Session

from nif.database import conflict_aware_insert, secret_keys_of
from nif.errors import Misconfigured
from nif.subscriptions import suppression_outbox
from nif.subscriptions.models import Suppression, SuppressionCountChange, SuppressionReason
from nif.subscriptions.suppression_outbox import WITHOUT_SESSION_SYNC, chunk_addresses
from nif.tokens import hmac_states


def adjust_suppression_counts(session: Session, steps: Mapping[SuppressionReason, int]) -> None:
    """Count so many more, or fewer, of each reason. Nobody waits for anybody with it."""
    rows = [{"reason": reason, "change": step} for reason, step in sorted(steps.items()) if step]
    if rows:
        session.execute(insert(SuppressionCountChange), rows)


def count_suppressions(session: Session) -> dict[SuppressionReason, int]:
    """How many there are of each reason, without counting them."""
    sums = select(SuppressionCountChange.reason, func.sum(SuppressionCountChange.change))
    found = dict.fromkeys(SuppressionReason, 0)
    found.update((row[0], int(row[1])) for row in session.execute(sums.group_by("reason")))
    return found


def compact_suppression_counts(session: Session) -> None:
    """Put what the steps add up to in the place of the steps."""
    gone = delete(SuppressionCountChange).returning(
        SuppressionCountChange.reason, SuppressionCountChange.change
    )
    sums: Counter[SuppressionReason] = Counter()
    for reason, step in session.execute(gone):
        sums[reason] += step
    adjust_suppression_counts(session, sums)


ERASED_HASH_PURPOSE = b"nif:erased"
ERASED_HASH_PREFIX = "erased:"
"""No address begins like this: a colon stands in none that we take."""

FEW_ADDRESSES = 500
"""So many addresses are asked for by their hashes; for more, all hashes are read at once."""

ERASED_PLACEHOLDER = "[erased]"
"""What stands where an address stood."""

SUBSCRIBER_GONE = (
    "There is nothing behind this link any more. If you asked us to forget you, we have, and will "
    "not write to you again. Otherwise ask for a new link, or subscribe."
)
"""What an old link says whose reader is not there any more."""


def record_erased_address(session: Session, canonical: str, *, source: str, now: datetime) -> None:
    """Keep the hash of an address that is never to be mailed again, in place of the address.

    It is an HMAC-SHA256 with a key that is derived from the secret key, so nobody without that key
    can find the address by trying. Raises Misconfigured where the house has no key.
    """
    keys = secret_keys_of(session)
    if not keys:
        raise Misconfigured("Without the secret key nobody can be erased: set NIF_SECRET_KEY.")
    if is_erased_address(session, canonical):
        return
    made = session.scalar(
        conflict_aware_insert(session, Suppression)
        .values(
            canonical=_hash_addresses(keys[0], [canonical])[0],
            reason=SuppressionReason.ERASED,
            source=source,
            at=now,
        )
        .on_conflict_do_nothing()
        .returning(Suppression.canonical)
    )
    if made is not None:
        adjust_suppression_counts(session, {SuppressionReason.ERASED: 1})


def is_erased_address(session: Session, canonical: str) -> bool:
    """Did whoever reads at this address ask to be forgotten?"""
    return bool(find_erased_addresses(session, [canonical]))


def find_erased_addresses(session: Session, canonicals: Collection[str]) -> set[str]:
    """Which of these addresses belong to somebody who asked to be forgotten.

    A million are answered in about two seconds a key. Older keys are tried too: a hash outlives a
    change of key as long as the old one is among the fallbacks.
    """
    keys = secret_keys_of(session)
    if not keys or not canonicals:
        return set()
    names = list(canonicals)
    kept = select(Suppression.canonical).where(Suppression.reason == SuppressionReason.ERASED)
    if len(names) <= FEW_ADDRESSES:
        marks = {mark: name for key in keys for mark, name in _hash_pairs(key, names)}
        found = session.scalars(kept.where(Suppression.canonical.in_(marks)))
        return {marks[mark] for mark in found}
    known = set(session.scalars(kept))
    if not known:
        return set()
    return {name for key in keys for mark, name in _hash_pairs(key, names) if mark in known}


def _hash_pairs(key: bytes, canonicals: list[str]) -> Iterable[tuple[str, str]]:
    return zip(_hash_addresses(key, canonicals), canonicals, strict=True)


def _hash_addresses(key: bytes, canonicals: list[str]) -> list[str]:
    """The hashes of addresses, in their order."""
    inner, outer = hmac_states(hmac.digest(key, ERASED_HASH_PURPOSE, "sha256"))
    marks = []
    for canonical in canonicals:
        within, around = inner.copy(), outer.copy()
        within.update(canonical.encode())
        around.update(within.digest())
        marks.append(ERASED_HASH_PREFIX + around.hexdigest())
    return marks


SEVERITY_ORDER = (
    SuppressionReason.UNSUBSCRIBED,
    SuppressionReason.MANUAL,
    SuppressionReason.INVALID,
    SuppressionReason.BOUNCED,
    SuppressionReason.COMPLAINED,
    SuppressionReason.ERASED,
)
"""The gravest reason stays, in whatever order they become known."""


def suppress_address(
    session: Session, canonical: str, reason: SuppressionReason, *, source: str, now: datetime
) -> None:
    """Never mail this address again. A reason gives way to a graver one only."""
    suppress_addresses(session, [canonical], reason, source=source, now=now)


def suppress_addresses(
    session: Session,
    canonicals: Iterable[str],
    reason: SuppressionReason,
    *,
    source: str,
    now: datetime,
) -> None:
    """Never mail any of these addresses again. Who was erased is not written down anew for it."""
    canonicals = set(canonicals)
    canonicals -= find_erased_addresses(session, canonicals)
    steps: Counter[SuppressionReason] = Counter()
    changed: list[str] = []
    # In one order, so that two who do this at once cannot wait for each other.
    for page in chunk_addresses(sorted(canonicals)):
        left: Collection[str] = page
        while left:
            new = _insert_suppressions(session, dict.fromkeys(left, reason), source, now)
            known = _raise_severity(session, set(left) - new, reason, source, now)
            steps[reason] += len(new)
            for canonical, before in known.items():
                if before is not reason:
                    steps[before] -= 1
                    steps[reason] += 1
                    changed.append(canonical)
            changed += new
            # Whoever was let go between the two statements is not there: once more.
            left = sorted(set(left) - new - known.keys())
    adjust_suppression_counts(session, steps)
    only_known = not suppression_outbox.is_pushed_to_provider(reason, source)
    suppression_outbox.queue_suppression_changes(
        session, changed, suppressed=True, only_known=only_known, now=now
    )


def add_suppressions(
    session: Session, reasons: Mapping[str, SuppressionReason], *, source: str, now: datetime
) -> set[str]:
    """Suppress those of these addresses that are not, each for its reason; returns those.

    A suppression that stands stays as it is. Nobody of them may have been erased.
    """
    new: set[str] = set()
    for page in chunk_addresses(sorted(reasons)):
        new |= _insert_suppressions(session, {one: reasons[one] for one in page}, source, now)
    adjust_suppression_counts(session, Counter(reasons[one] for one in new))
    told = {one for one in new if suppression_outbox.is_pushed_to_provider(reasons[one], source)}
    suppression_outbox.queue_suppression_changes(session, told, suppressed=True, now=now)
    suppression_outbox.queue_suppression_changes(
        session, new - told, suppressed=True, only_known=True, now=now
    )
    return new


def lift_suppressions(session: Session, *which: ColumnElement[bool], now: datetime) -> set[str]:
    """End these suppressions, and have the provider mail those addresses again; returns them."""
    gone = _delete_suppressions(session, *which)
    told = {one for one, reason in gone.items() if reason in suppression_outbox.PUSHED_REASONS}
    suppression_outbox.queue_suppression_changes(session, told, suppressed=False, now=now)
    suppression_outbox.queue_suppression_changes(
        session, gone.keys() - told, suppressed=False, only_known=True, now=now
    )
    return set(gone)


def delete_suppression(session: Session, canonical: str) -> None:
    """Drop a suppression together with its address: whoever reads there was erased."""
    _delete_suppressions(session, Suppression.canonical == canonical)


def is_suppressed(session: Session, canonical: str) -> bool:
    """Is this address never to be mailed?"""
    found = select(Suppression.canonical).where(Suppression.canonical == canonical)
    return session.scalar(found) is not None or is_erased_address(session, canonical)


def lock_suppressions(session: Session, canonicals: Collection[str]) -> None:
    """Have whoever would end a suppression of one of these wait for us, or wait for them."""
    for page in chunk_addresses(sorted(canonicals)):
        theirs = select(Suppression.canonical).where(Suppression.canonical.in_(page))
        session.execute(theirs.order_by(Suppression.canonical).with_for_update()).all()


def _insert_suppressions(
    session: Session, reasons: Mapping[str, SuppressionReason], source: str, now: datetime
) -> set[str]:
    """Write down those that are not there; returns them."""
    rows = [
        {"canonical": canonical, "reason": reason, "source": source, "at": now}
        for canonical, reason in reasons.items()
    ]
    made = conflict_aware_insert(session, Suppression).values(rows).on_conflict_do_nothing()
    return set(session.scalars(made.returning(Suppression.canonical)))


def _raise_severity(
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
    lighter = SEVERITY_ORDER[: SEVERITY_ORDER.index(reason)]
    changing = [one for one, had in before.items() if had in lighter]
    if changing:
        session.execute(
            update(Suppression)
            .where(Suppression.canonical.in_(changing))
            .values(reason=reason, source=source, at=now),
            execution_options=WITHOUT_SESSION_SYNC,
        )
    had = dict.fromkeys(before, reason)
    return had | {one: before[one] for one in changing}


def _delete_suppressions(
    session: Session, *which: ColumnElement[bool]
) -> dict[str, SuppressionReason]:
    gone = delete(Suppression).where(*which).returning(Suppression.canonical, Suppression.reason)
    found = {
        row[0]: row[1] for row in session.execute(gone, execution_options=WITHOUT_SESSION_SYNC)
    }
    adjust_suppression_counts(session, {one: -n for one, n in Counter(found.values()).items()})
    return found
