"""The suppression list: addresses that must never be mailed again.

All changes of it are made here, so that the counts and the changes to push to the mail provider are
written in the same transaction.

For an erased person it holds a keyed hash of the address, so that no later import mails them.
"""

import hmac
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from itertools import chain

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.orm import Session

from nif.database import conflict_aware_insert, insert_if_new, secret_keys_of
from nif.errors import Misconfigured
from nif.subscriptions.models import Suppression, SuppressionCountChange, SuppressionReason
from nif.subscriptions.suppression_outbox import (
    PUSHED_REASONS,
    WITHOUT_SESSION_SYNC,
    came_from_provider,
    chunk_addresses,
    queue_suppression_changes,
)
from nif.tokens import hmac_states

SEVERITY_ORDER = (
    SuppressionReason.UNSUBSCRIBED,
    SuppressionReason.MANUAL,
    SuppressionReason.INVALID,
    SuppressionReason.BOUNCED,
    SuppressionReason.COMPLAINED,
    SuppressionReason.ERASED,
)
"""From the least to the most severe reason. An address keeps the most severe one that became
known, in whatever order they did."""

ERASED_HASH_PURPOSE = b"nif:erased"
ERASED_HASH_PREFIX = "erased:"
"""No address begins like this: NIF accepts none with a colon."""

FEW_ADDRESSES = 500
"""Up to this number, addresses are looked up by their hashes; for more, all hashes are loaded."""

ERASED_PLACEHOLDER = "[erased]"
"""What replaces an erased address in a text."""

SUBSCRIBER_GONE = (
    "There is nothing behind this link any more. If you asked us to erase your data, we did, and "
    "will not mail you again. Otherwise ask for a new link, or subscribe."
)
"""The message for a link whose subscriber does not exist any more."""


def is_suppressed(session: Session, canonical: str) -> bool:
    query = select(Suppression.canonical).where(Suppression.canonical == canonical)
    return session.scalar(query) is not None or is_erased_address(session, canonical)


def allows_signups(session: Session, canonical: str) -> bool:
    """Is an address neither suppressed nor erased, or suppressed only because it unsubscribed?"""
    suppression = session.scalar(
        select(Suppression.reason).where(Suppression.canonical == canonical)
    )
    is_allowed = suppression in {None, SuppressionReason.UNSUBSCRIBED}
    return is_allowed and not is_erased_address(session, canonical)


def suppress_address(
    session: Session, canonical: str, reason: SuppressionReason, *, source: str, now: datetime
) -> None:
    suppress_addresses(session, [canonical], reason, source=source, now=now)


def suppress_addresses(
    session: Session,
    canonicals: Iterable[str],
    reason: SuppressionReason,
    *,
    source: str,
    now: datetime,
) -> None:
    """Suppress addresses, except erased ones.

    A more severe reason replaces a less severe one, and never the other way round.
    """
    canonicals = set(canonicals)
    canonicals -= find_erased_addresses(session, canonicals)
    former_reasons: dict[str, SuppressionReason | None] = {}
    # Sorted, so that two transactions that suppress the same addresses cannot deadlock.
    for chunk in chunk_addresses(sorted(canonicals)):
        remaining: Collection[str] = chunk
        while remaining:
            added = _insert_suppressions(session, dict.fromkeys(remaining, reason), source, now)
            present = _raise_severity(session, set(remaining) - added, reason, source, now)
            former_reasons |= dict.fromkeys(added)
            former_reasons |= {one: former for one, former in present.items() if former != reason}
            # Another transaction may have lifted a suppression between the two statements.
            remaining = sorted(set(remaining) - added - present.keys())
    count_changes = Counter({reason: len(former_reasons)})
    count_changes.subtract(former for former in former_reasons.values() if former is not None)
    adjust_suppression_counts(session, count_changes)
    _queue_for_provider(session, dict.fromkeys(former_reasons, reason), source, now=now)


def add_suppressions(
    session: Session, reasons: Mapping[str, SuppressionReason], *, source: str, now: datetime
) -> set[str]:
    """Suppress addresses, each for its own reason; returns those that were not suppressed before.

    Existing suppressions stay as they are. None of the addresses may be an erased one.
    """
    added: set[str] = set()
    for chunk in chunk_addresses(sorted(reasons)):
        chunk_reasons = {canonical: reasons[canonical] for canonical in chunk}
        added |= _insert_suppressions(session, chunk_reasons, source, now)
    adjust_suppression_counts(session, Counter(reasons[canonical] for canonical in added))
    _queue_for_provider(session, {one: reasons[one] for one in added}, source, now=now)
    return added


def lift_suppressions(session: Session, *which: ColumnElement[bool], now: datetime) -> set[str]:
    """End the suppressions that meet the conditions, here and at the provider; returns the
    addresses."""
    lifted = _delete_suppressions(session, *which)
    _queue_for_provider(session, lifted, now=now, suppressed=False)
    return set(lifted)


def _queue_for_provider(
    session: Session,
    reasons: Mapping[str, SuppressionReason],
    source: str = "",
    *,
    suppressed: bool = True,
    now: datetime,
) -> None:
    """Queue changes of addresses for the provider: where the reason is none that is pushed, only of
    addresses that it knows from us."""
    pushed_reasons = () if came_from_provider(source) else PUSHED_REASONS
    pushed = {canonical for canonical, reason in reasons.items() if reason in pushed_reasons}
    for canonicals, only_known in ((pushed, False), (reasons.keys() - pushed, True)):
        queue_suppression_changes(
            session, canonicals, suppressed=suppressed, only_known=only_known, now=now
        )


def delete_suppression(session: Session, canonical: str) -> None:
    """Delete the suppression of an address that is erased, without a change at the provider."""
    _delete_suppressions(session, Suppression.canonical == canonical)


def lock_suppressions(session: Session, canonicals: Collection[str]) -> None:
    """Lock the suppressions of these addresses, so that no other transaction lifts them."""
    for chunk in chunk_addresses(sorted(canonicals)):
        query = select(Suppression.canonical).where(Suppression.canonical.in_(chunk))
        session.execute(query.order_by(Suppression.canonical).with_for_update()).all()


def _insert_suppressions(
    session: Session, reasons: Mapping[str, SuppressionReason], source: str, now: datetime
) -> set[str]:
    """Insert the suppressions that do not exist; returns their addresses."""
    rows = [
        {"canonical": canonical, "reason": reason, "source": source, "at": now}
        for canonical, reason in reasons.items()
    ]
    statement = conflict_aware_insert(session, Suppression).values(rows).on_conflict_do_nothing()
    return set(session.scalars(statement.returning(Suppression.canonical)))


def _raise_severity(
    session: Session,
    canonicals: Collection[str],
    reason: SuppressionReason,
    source: str,
    now: datetime,
) -> dict[str, SuppressionReason]:
    """Set a reason where the existing one is less severe.

    Returns all existing suppressions among the addresses: with their former reason where it was
    changed, with `reason` where it was not.
    """
    if not canonicals:
        return {}
    query = select(Suppression.canonical, Suppression.reason).where(
        Suppression.canonical.in_(sorted(canonicals))
    )
    locked = query.order_by(Suppression.canonical).with_for_update()
    reasons = {row[0]: row[1] for row in session.execute(locked)}
    less_severe = SEVERITY_ORDER[: SEVERITY_ORDER.index(reason)]
    changing = {canonical for canonical, former in reasons.items() if former in less_severe}
    if changing:
        session.execute(
            update(Suppression)
            .where(Suppression.canonical.in_(changing))
            .values(reason=reason, source=source, at=now),
            execution_options=WITHOUT_SESSION_SYNC,
        )
    return {one: former if one in changing else reason for one, former in reasons.items()}


def _delete_suppressions(
    session: Session, *which: ColumnElement[bool]
) -> dict[str, SuppressionReason]:
    """Delete suppressions and count the change; returns the reasons by address."""
    statement = (
        delete(Suppression).where(*which).returning(Suppression.canonical, Suppression.reason)
    )
    deleted = {
        row[0]: row[1] for row in session.execute(statement, execution_options=WITHOUT_SESSION_SYNC)
    }
    changes: Counter[SuppressionReason] = Counter()
    changes.subtract(deleted.values())
    adjust_suppression_counts(session, changes)
    return deleted


def adjust_suppression_counts(session: Session, changes: Mapping[SuppressionReason, int]) -> None:
    """Record changes of the number of suppressions by reason. It waits for no other transaction."""
    rows = [
        {"reason": reason, "change": change} for reason, change in sorted(changes.items()) if change
    ]
    if rows:
        session.execute(insert(SuppressionCountChange), rows)


def count_suppressions(session: Session) -> dict[SuppressionReason, int]:
    """The number of suppressions by reason: the sums of the recorded changes."""
    sums = select(SuppressionCountChange.reason, func.sum(SuppressionCountChange.change))
    counts = dict.fromkeys(SuppressionReason, 0)
    counts.update((row[0], int(row[1])) for row in session.execute(sums.group_by("reason")))
    return counts


def compact_suppression_counts(session: Session) -> None:
    """Replace the recorded changes by their sums."""
    deletion = delete(SuppressionCountChange).returning(
        SuppressionCountChange.reason, SuppressionCountChange.change
    )
    sums: Counter[SuppressionReason] = Counter()
    for reason, change in session.execute(deletion):
        sums[reason] += change
    adjust_suppression_counts(session, sums)


def record_erased_address(session: Session, canonical: str, *, source: str, now: datetime) -> None:
    """Suppress an erased address by its hash.

    The hash is an HMAC-SHA256 with a key that is derived from the secret key. Without that key
    nobody can find the address by trying. Raises Misconfigured where there is no secret key.
    """
    keys = secret_keys_of(session)
    if not keys:
        raise Misconfigured("Erasing a person needs the secret key: set NIF_SECRET_KEY.")
    if is_erased_address(session, canonical):
        return
    hashed, reason = _hash_addresses(keys[0], [canonical])[0], SuppressionReason.ERASED
    row = {"canonical": hashed, "reason": reason, "source": source, "at": now}
    if insert_if_new(session, Suppression, **row) is not None:
        adjust_suppression_counts(session, {SuppressionReason.ERASED: 1})


def is_erased_address(session: Session, canonical: str) -> bool:
    """Did the owner of this address have their data erased?"""
    return bool(find_erased_addresses(session, [canonical]))


def find_erased_addresses(session: Session, canonicals: Collection[str]) -> set[str]:
    """Those of the addresses that were erased.

    A million addresses take about two seconds for each key. Fallback keys are tried too: a hash
    outlives a change of the secret key as long as the old key is a fallback.
    """
    keys = secret_keys_of(session)
    if not keys or not canonicals:
        return set()
    addresses = list(canonicals)
    erased = select(Suppression.canonical).where(Suppression.reason == SuppressionReason.ERASED)
    hashed = (zip(_hash_addresses(key, addresses), addresses, strict=True) for key in keys)
    if len(addresses) <= FEW_ADDRESSES:
        by_hash = dict(chain.from_iterable(hashed))
        found = session.scalars(erased.where(Suppression.canonical.in_(by_hash)))
        return {by_hash[hash_] for hash_ in found}
    hashes = set(session.scalars(erased))
    if not hashes:
        return set()
    return {address for hash_, address in chain.from_iterable(hashed) if hash_ in hashes}


def _hash_addresses(key: bytes, canonicals: list[str]) -> list[str]:
    """The hashes of addresses, in their order."""
    inner_state, outer_state = hmac_states(hmac.digest(key, ERASED_HASH_PURPOSE, "sha256"))
    hashes = []
    for canonical in canonicals:
        inner, outer = inner_state.copy(), outer_state.copy()
        inner.update(canonical.encode())
        outer.update(inner.digest())
        hashes.append(ERASED_HASH_PREFIX + outer.hexdigest())
    return hashes
